from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unmix.audio import (
    FORMATS,
    AudioWriter,
    OutputFormat,
    format_like,
    open_audio,
    probe,
    read_audio,
    resample,
    resampled_length,
)
from unmix.audio import wav as wav_module
from unmix.audio.formats import MP3_BITRATES
from unmix.audio.wav import wav_header
from unmix.errors import AudioError

LOSSLESS = [("wav", 16), ("wav", 24), ("wav", 32), ("flac", 16), ("flac", 24), ("aiff", 16)]
NEVER_EMPTY = ("mp3", "opus", "m4a")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sample_rate", [44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [0, 1, 100, 1152, 44100, 100001])
def test_as_many_samples_come_back_at_the_same_time(
    tmp_path, song, write, lag, name, sample_rate, channels, length
):
    path = tmp_path / f"a.{name}"
    samples = song(length, sample_rate, channels)
    if length == 0 and name in NEVER_EMPTY:
        with pytest.raises(AudioError, match="no samples"):
            write(path, samples, sample_rate)
        assert not list(tmp_path.iterdir())
        return
    writer = write(path, samples, sample_rate)
    with open_audio(path) as reader:
        read = np.concatenate([samples[:, :0], *reader.blocks()], axis=1)
    rate = reader.sample_rate
    expected = resample(samples, sample_rate, rate)
    assert rate == writer.written_sample_rate == (48000 if name == "opus" else sample_rate)
    assert read.shape == expected.shape
    assert reader.complete
    assert not reader.warnings
    if length > 1000:
        assert lag(expected, read) == 0
        assert reader.info.length == read.shape[1]
        assert not reader.info.length_is_estimate


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sample_rate", [8000, 11025, 16000, 22050, 32000, 37800, 96000, 192000])
def test_other_rates(tmp_path, song, write, lag, name, sample_rate):
    path = tmp_path / f"a.{name}"
    samples = song(20000, sample_rate)
    writer = write(path, samples, sample_rate)
    read, rate = read_audio(path)
    assert rate == writer.written_sample_rate == writer.format.sample_rate_for(sample_rate)
    assert read.shape == (2, resampled_length(20000, sample_rate, rate))
    assert lag(resample(samples, sample_rate, rate), read) == 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_real_song_survives(tmp_path, excerpt_of_song, write, lag, name):
    path = tmp_path / f"a.{name}"
    write(path, excerpt_of_song)
    read, rate = read_audio(path)
    expected = resample(excerpt_of_song, 44100, rate)
    assert read.shape == expected.shape
    for start in range(0, expected.shape[1] - 65536, 65536):
        place = slice(start, start + 65536)
        assert lag(expected[:, place], read[:, place]) == 0
    error = np.sum((read - expected) ** 2) / np.sum(expected**2)
    assert 10 * np.log10(error) < (-9 if OutputFormat.parse(name).lossy else -60)
    output = format_like(probe(path), path)
    assert output.name == name


@pytest.mark.parametrize(("name", "bits"), LOSSLESS)
def test_what_was_read_is_written_bit_by_bit(tmp_path, song, write, name, bits):
    random = np.random.default_rng(bits)
    scale = 1 << (min(bits, 24) - 1)
    integers = random.integers(-scale, scale, (2, 5000))
    integers[:, :2] = [-scale, scale - 1]
    samples = (integers / scale).astype(np.float32)
    path = tmp_path / f"a.{name}"
    writer = write(path, samples, bit_depth=bits)
    assert np.array_equal(read_audio(path)[0], samples)
    assert probe(path).bit_depth == bits
    assert writer.clipped == 0
    raw = soundfile.read(path, dtype="int32")[0].T
    if bits < 32:
        assert np.array_equal(raw >> (32 - bits), integers)


@settings(max_examples=30, deadline=None)
@given(
    samples=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(0, 60)),
        elements=st.floats(-4, 4, width=32),
    ),
    kind=st.sampled_from(LOSSLESS),
)
def test_integers_are_rounded_and_clipped_and_floats_are_kept(samples, kind):
    name, bits = kind
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{name}"
        output = OutputFormat.parse(name, bits)
        channels = samples.shape[0]
        with AudioWriter(path, sample_rate=8000, channels=channels, format=output) as writer:
            writer.write(samples)
        read, _ = read_audio(path)
    scale = 2.0 ** (bits - 1)
    expected = np.clip(np.rint(samples * scale), -scale, scale - 1) / scale
    assert np.array_equal(read, samples if bits == 32 else expected.astype(np.float32))
    assert writer.clipped == (0 if bits == 32 else np.count_nonzero(np.abs(samples) > 1))


def test_two_rounded_parts_sum_to_the_rounded_whole_within_one_step(tmp_path, song, write):
    whole, part = song(30000), 0.3 * song(30000, channels=2)[:, ::-1]
    steps = []
    for name, samples in (("whole", whole), ("part", part), ("rest", whole - part)):
        write(tmp_path / f"{name}.wav", np.ascontiguousarray(samples))
        steps.append(soundfile.read(tmp_path / f"{name}.wav", dtype="int16")[0].astype(int))
    assert np.abs(steps[0] - steps[1] - steps[2]).max() <= 1


def test_surround_keeps_its_bits_and_order(tmp_path, tricky, write):
    samples, rate = read_audio(tricky / "surround.wav")
    for name in ("wav", "flac", "aiff"):
        write(tmp_path / f"a.{name}", samples, rate, bit_depth=24)
        assert np.array_equal(read_audio(tmp_path / f"a.{name}")[0], samples)


LAYOUTS = {3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


@pytest.mark.parametrize("name", ["wav", "flac", "aiff", "ogg", "opus", "m4a"])
@pytest.mark.parametrize("channels", LAYOUTS)
def test_channels_keep_their_order(tmp_path, write, name, channels):
    if name == "m4a" and channels > 6:
        pytest.skip("m4a is written with up to 6 channels")
    tones = 300 * np.arange(1, channels + 1)
    if channels > 5:
        tones[3] = 80  # low-frequency channels are coded as such
    time = np.arange(48000) / 48000
    samples = (0.3 * np.sin(2 * np.pi * tones[:, None] * time)).astype(np.float32)
    path = tmp_path / f"a.{name}"
    write(path, samples, 48000)
    read = read_audio(path)[0]
    assert loudest(read) == tones.tolist()
    with av.open(path) as container:  # another decoder, another opinion
        packer = av.AudioResampler("flt")
        frames = [part for frame in container.decode(audio=0) for part in packer.resample(frame)]
        layout = container.streams.audio[0].layout.name
    packed = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    assert loudest(packed.reshape(-1, channels).T) == tones.tolist()
    if name != "aiff":
        assert layout.removesuffix("(side)").removesuffix("(back)") == LAYOUTS[channels]


def loudest(samples):
    spectrum = np.abs(np.fft.rfft(samples[:, 12000:36000]))
    return (spectrum.argmax(axis=1) * 2).tolist()


@pytest.mark.parametrize("bitrate", MP3_BITRATES)
def test_mp3_has_the_constant_bitrate_that_was_asked(tmp_path, song, write, bitrate):
    path = tmp_path / "a.mp3"
    write(path, song(30000), bitrate=bitrate)
    assert probe(path).bitrate == bitrate


@pytest.mark.parametrize(
    ("name", "bitrate", "tolerance"),
    [
        ("m4a", 128_000, 0.1),
        ("m4a", 256_000, 0.1),
        ("opus", 96_000, 0.15),
        ("opus", 192_000, 0.15),
        ("ogg", 128_000, 0.25),
        ("ogg", 256_000, 0.25),
    ],
)
def test_other_bitrates_are_about_right(tmp_path, excerpt_of_song, write, name, bitrate, tolerance):
    path = tmp_path / f"a.{name}"
    write(path, excerpt_of_song, bitrate=bitrate)
    seconds = excerpt_of_song.shape[1] / 44100
    assert path.stat().st_size * 8 / seconds == pytest.approx(bitrate, rel=tolerance)


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_wav_beyond_the_limit_becomes_rf64(tmp_path, song, write, monkeypatch, bits):
    samples = song(9999, channels=1)
    write(tmp_path / "short.wav", samples, bit_depth=bits)
    monkeypatch.setattr(wav_module, "RIFF_LIMIT", 15000)
    write(tmp_path / "long.wav", samples, bit_depth=bits)
    short, long = ((tmp_path / f"{name}.wav").read_bytes() for name in ("short", "long"))
    assert (short[:4], long[:4]) == (b"RIFF", b"RF64")
    assert len(short) == len(long)
    for path in (tmp_path / "short.wav", tmp_path / "long.wav"):
        expected = read_audio(tmp_path / "short.wav")[0]
        assert np.array_equal(read_audio(path)[0], expected)
        assert np.array_equal(soundfile.read(path, dtype="float32")[0], expected[0])
        with av.open(path) as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) == 9999


def test_sizes_beyond_four_gibibytes_are_told_in_64_bits():
    form = {"sample_rate": 44100, "channels": 2, "bits": 32, "is_float": True}
    three_hours = 3 * 3600 * 44100 * 8
    assert three_hours < 2**32
    small = wav_header(**form, data_size=three_hours)
    large = wav_header(**form, data_size=3 * three_hours)
    assert (small[:4], large[:4]) == (b"RIFF", b"RF64")
    assert len(small) == len(large)
    assert large[12:16] == b"ds64"
    assert int.from_bytes(large[28:36], "little") == 3 * three_hours
    assert int.from_bytes(large[20:28], "little") == 3 * three_hours + len(large) - 8
    assert int.from_bytes(large[36:44], "little") == 3 * three_hours // 8


def test_plain_wav_is_read_by_the_standard_library(tmp_path, song, write):
    import wave

    write(tmp_path / "a.wav", song(1001, channels=1), bit_depth=24)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnframes(), file.getsampwidth(), file.getnchannels()) == (1001, 3, 1)
    assert (tmp_path / "a.wav").stat().st_size % 2 == 0


def partial(path, error):
    output = OutputFormat.parse(path.suffix)
    with AudioWriter(path, sample_rate=44100, channels=1, format=output, overwrite=True) as writer:
        writer.write(np.zeros((1, 5000), np.float32))
        raise error


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, GeneratorExit])
def test_nothing_is_left_when_something_fails(tmp_path, name, error):
    with pytest.raises(error):
        partial(tmp_path / f"a.{name}", error)
    assert not list(tmp_path.iterdir())


def test_a_file_appears_whole_or_not_at_all(tmp_path, song, write):
    path = tmp_path / "folder" / "a.flac"
    output = OutputFormat.parse("flac")
    with AudioWriter(path, sample_rate=44100, channels=2, format=output) as writer:
        writer.write(song(1000))
        assert not path.exists()
        (hidden,) = path.parent.iterdir()
        assert hidden.name.startswith(".")
    assert list(path.parent.iterdir()) == [path]
    assert writer.samples_written == 1000


def test_an_existing_file_is_kept_or_replaced_whole(tmp_path, song, write):
    path = tmp_path / "a.wav"
    write(path, song(1000))
    before = path.read_bytes()
    form = {"sample_rate": 44100, "channels": 2, "format": OutputFormat.parse("wav")}
    with pytest.raises(AudioError, match="exists already"):
        AudioWriter(path, **form)
    with pytest.raises(RuntimeError):
        partial(path, RuntimeError)
    assert path.read_bytes() == before
    write(path, song(2000))
    assert read_audio(path)[0].shape == (2, 2000)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", FORMATS)
def test_a_staged_file_is_written_straight_to_its_path(tmp_path, song, name):
    path = tmp_path / f"a.{name}"
    output = OutputFormat.parse(name)
    with AudioWriter(path, sample_rate=44100, channels=2, format=output, staged=True) as writer:
        writer.write(song(5000))
        assert list(tmp_path.iterdir()) == [path]
    assert read_audio(path)[0].shape[0] == 2


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, song):
    path = tmp_path / "a.wav"
    writer = AudioWriter(path, sample_rate=44100, channels=2, format=OutputFormat.parse("wav"))
    writer.write(song(10))
    path.write_text("somebody else's")
    with pytest.raises(AudioError, match="exists already"):
        writer.close()
    assert path.read_text() == "somebody else's"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", FORMATS)
def test_names_of_every_kind(tmp_path, song, write, name):
    odd = tmp_path / f"%d 100% Séculaire: 日本語 'quoted' {'x' * 150}.{name}"
    write(odd, song(5000))
    assert read_audio(odd)[0].shape[0] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file size to set")
@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, name):
    program = f"""
import resource, sys
import numpy as np
from unmix.audio import AudioWriter, OutputFormat
from unmix.errors import AudioError
resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))
noise = np.random.default_rng(0).uniform(-1, 1, (2, 44100)).astype(np.float32)
output = OutputFormat.parse({name!r})
try:
    with AudioWriter("a.{name}", sample_rate=44100, channels=2, format=output) as writer:
        for _ in range(10):
            writer.write(noise)
except AudioError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == f"a.{name} cannot be written: is there room on the disk?\n"
    assert (result.returncode, result.stderr) == (0, "")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file(tmp_path, song, write):
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioError, match="is not a folder"):
        write(tmp_path / "file" / "a.wav", song(10))
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(AudioError, match="is a folder"):
        write(tmp_path / "a.wav", song(10))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_folder(tmp_path, song, write):
    tmp_path.chmod(0o500)
    with pytest.raises(AudioError, match="is not writable"):
        write(tmp_path / "a.wav", song(10))


def test_mistakes_of_the_caller_are_refused(tmp_path, song):
    form = {"sample_rate": 44100, "channels": 2, "format": OutputFormat.parse("wav")}
    path = tmp_path / "a.wav"
    writer = AudioWriter(path, **form)
    with pytest.raises(ValueError, match=r"\[2, n\]"):
        writer.write(song(100).T)
    with pytest.raises(ValueError, match="NaN"):
        writer.write(np.full((2, 5), np.nan, np.float32))
    writer.abandon()
    with pytest.raises(ValueError, match="closed"):
        writer.write(song(100))
    assert not list(tmp_path.iterdir())
    with pytest.raises(AudioError, match="holds 1 to 2 channels"):
        AudioWriter(path, sample_rate=44100, channels=6, format=OutputFormat.parse("mp3"))
