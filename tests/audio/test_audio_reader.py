from __future__ import annotations

import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from unmix.audio import open_audio, probe, read_audio, read_excerpt
from unmix.errors import AudioError, AudioWarning

TRICKY = {  # name: samples per channel, rate, channels
    "hot.wav": (88200, 44100, 2),
    "nan.wav": (88200, 44100, 2),
    "no-samples.wav": (0, 44100, 2),
    "offset-granule.opus": (959788, 48000, 2),
    "one-sample.wav": (1, 44100, 2),
    "silence.wav": (44100, 44100, 2),
    "streamed-size.wav": (132300, 44100, 2),
    "surround.wav": (44100, 48000, 6),
    "truncated.flac": (46080, 44100, 2),
    "video.mp4": (176400, 44100, 2),
}


def drain(path, size=65536):
    """Read a file in blocks; return the closed reader and its samples."""
    with open_audio(path) as reader:
        empty = np.zeros((reader.channels, 0), np.float32)
        samples = np.concatenate([empty, *reader.blocks(size)], axis=1)
    return reader, samples


@pytest.mark.parametrize("name", TRICKY)
def test_tricky_files_are_read(tricky, name):
    length, sample_rate, channels = TRICKY[name]
    reader, samples = drain(tricky / name)
    assert samples.shape == (channels, length)
    assert reader.sample_rate == sample_rate
    assert reader.samples_read == length
    assert np.isfinite(samples).all()
    assert reader.complete == (name != "truncated.flac")
    if name not in ("truncated.flac", "nan.wav"):
        assert reader.warnings == []
        assert reader.info.length == length


def test_truncated_file_says_how_much_decoded(tricky):
    reader, _ = drain(tricky / "truncated.flac")
    assert reader.warnings == [
        "truncated.flac is cut short or damaged: decoded 1.0 s of 6.0 s",
    ]


def test_samples_that_are_not_numbers_become_zero_in_one_sentence(tricky):
    reader, samples = drain(tricky / "nan.wav", size=1000)
    raw = soundfile.read(tricky / "nan.wav", dtype="float32")[0].T
    broken = ~np.isfinite(raw)
    assert reader.warnings == [
        f"nan.wav contains {np.count_nonzero(broken)} samples that are NaN or infinite: "
        "they were replaced by 0"
    ]
    assert not samples[broken].any()
    assert np.array_equal(samples[~broken], raw[~broken])


def test_values_above_full_scale_stay(tricky):
    assert np.abs(read_audio(tricky / "hot.wav")[0]).max() > 3


def test_silence_is_silence(tricky):
    assert not read_audio(tricky / "silence.wav")[0].any()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty.wav", "is empty"),
        ("text.mp3", "not an audio file"),
        ("no-audio.mp4", "no audio stream"),
        ("missing.wav", "does not exist"),
        (".", "is a folder"),
    ],
)
def test_a_file_that_is_not_audio_gets_one_sentence(tricky, name, words):
    for call in (open_audio, probe, read_audio, lambda path: read_excerpt(path, 0, 1)):
        with pytest.raises(AudioError, match=words) as caught:
            call(tricky / name)
        assert str(tricky / name) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_files_that_may_not_be_read(tmp_path):
    path = tmp_path / "secret.wav"
    path.write_bytes(b"RIFF")
    path.chmod(0)
    with pytest.raises(AudioError, match="is not readable"):
        open_audio(path)


def test_nothing_is_written_to_stderr(tricky, songs, capfd):
    for path in [*sorted(tricky.iterdir()), *songs]:
        try:
            with open_audio(path) as reader:
                for _, _ in zip(reader.blocks(), range(4), strict=False):
                    pass
        except AudioError:
            pass
    output, errors = capfd.readouterr()
    assert (output, errors) == ("", "")


@pytest.mark.parametrize("size", [1, 777, 4096, 1 << 20])
def test_blocks_have_the_size_that_was_asked(tmp_path, song, write, size):
    samples = song(3000 if size == 1 else 70000)
    for name in ("a.wav", "a.mp3"):
        write(tmp_path / name, samples)
        whole = read_audio(tmp_path / name)[0]
        with open_audio(tmp_path / name) as reader:
            blocks = list(reader.blocks(size))
        assert all(block.shape[1] == size for block in blocks[:-1])
        assert all(block.flags.c_contiguous and block.dtype == np.float32 for block in blocks)
        assert np.array_equal(np.concatenate(blocks, axis=1), whole)
        assert len({id(block) for block in blocks}) == len(blocks)


def test_real_mp3_files_are_the_same_by_both_decoders(songs):
    for path in (path for path in songs if path.suffix == ".mp3"):
        with soundfile.SoundFile(path) as file, open_audio(path) as reader:
            assert reader.info.length == file.frames
            for block in reader.blocks():
                other = file.read(65536, dtype="float32").T
                assert block.shape == other.shape
                assert np.abs(block - other).max() < 1e-4
            assert reader.samples_read == file.frames
            assert reader.complete
            assert not reader.warnings


def wav_bytes(riff_size, data_size, body, *, extra=b""):
    fmt = struct.pack("<IHHIIHH", 16, 1, 2, 44100, 176400, 4, 16)
    head = b"RIFF" + struct.pack("<I", riff_size) + b"WAVEfmt " + fmt
    return head + b"data" + struct.pack("<I", data_size) + body + extra


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [(0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (0xFFFFFFFF, 4000), (4036, 0)],
)
def test_wav_without_a_valid_size_is_read_whole(tmp_path, riff_size, data_size):
    body = np.random.default_rng(0).integers(-9000, 9000, (1000, 2)).astype("<i2")
    path = tmp_path / "piped.wav"
    path.write_bytes(wav_bytes(riff_size, data_size, body.tobytes()))
    reader, samples = drain(path)
    assert np.array_equal(samples, body.T / np.float32(32768))
    assert reader.complete
    assert not reader.warnings


def test_a_list_after_no_samples_is_not_sound(tmp_path):
    path = tmp_path / "tagged.wav"
    path.write_bytes(wav_bytes(54, 0, b"LIST" + struct.pack("<I", 10) + b"INFO123456"))
    reader, samples = drain(path)
    assert samples.shape == (2, 0)
    assert reader.complete


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.flac", "a.ogg", "a.opus", "a.mp3"])
def test_cut_files_give_what_is_there_and_say_so(tmp_path, song, write, name):
    path = tmp_path / name
    samples = song(96000, 48000)
    write(path, samples, 48000)
    whole = read_audio(path)[0]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    reader, part = drain(path)
    assert not reader.complete
    (warning,) = reader.warnings
    assert f"{name} is cut short" in warning
    assert f"decoded {part.shape[1] / 48000:.1f} s" in warning
    assert 20000 < part.shape[1] < 70000
    sure = part.shape[1] - 3000  # the last overlapping windows may differ
    assert np.allclose(part[:, :sure], whole[:, :sure], atol=1e-4)


def test_mp3_without_a_frame_count_gives_no_warning(tmp_path, song, write):
    path = tmp_path / "a.mp3"
    write(path, song(96000, 48000), 48000, bitrate="128k")
    content = path.read_bytes()
    path.write_bytes(content[384 : len(content) // 2])  # without LAME's frame, and cut
    reader, samples = drain(path)
    assert reader.info.length_is_estimate
    assert samples.shape[1] > 40000
    assert reader.complete
    assert not reader.warnings


def test_damage_in_the_middle_becomes_silence_and_keeps_the_time(tmp_path, song, write):
    path = tmp_path / "a.flac"
    samples = song(200000)
    write(path, samples)
    whole = read_audio(path)[0]
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    reader, part = drain(path)
    assert part.shape == whole.shape
    wrong = np.flatnonzero((part != whole).any(axis=0))
    assert 0 < len(wrong) < 20000
    assert np.array_equal(part[:, -50000:], whole[:, -50000:])
    assert not reader.complete
    assert any("became silence" in warning for warning in reader.warnings)


def test_flac_of_unknown_length_is_read_whole(tmp_path, song, write):
    path = tmp_path / "a.flac"
    write(path, song(50000))
    whole = read_audio(path)[0]
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    reader, samples = drain(path)
    assert reader.info.length is None
    assert np.array_equal(samples, whole)
    assert reader.complete


def test_chained_ogg_is_read_to_its_last_link(tmp_path, song, write):
    parts = [song(60000), song(50000)]
    for index, part in enumerate(parts):
        write(tmp_path / f"{index}.ogg", part)
    chain = tmp_path / "chain.ogg"
    chain.write_bytes(b"".join((tmp_path / f"{index}.ogg").read_bytes() for index in (0, 1)))
    reader, samples = drain(chain)
    assert 110000 <= samples.shape[1] < 110000 + 1024  # FFmpeg keeps a link's last window
    assert reader.complete


def test_a_change_of_rate_on_the_way_is_refused(tmp_path, song, write):
    write(tmp_path / "a.mp3", song(50000))
    write(tmp_path / "b.mp3", song(50000, 22050), 22050)
    both = tmp_path / "both.mp3"
    both.write_bytes((tmp_path / "a.mp3").read_bytes() + (tmp_path / "b.mp3").read_bytes())
    with pytest.raises(AudioError, match="changes from 2 channels at"):
        drain(both)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.aac", "aac"),
        ("a.ac3", "ac3"),
        ("a.wma", "wmav2"),
        ("a.webm", "libopus"),
        ("a.mkv", "flac"),
        ("a.m4a", "alac"),
        ("a.ts", "aac"),
        ("a.mka", "libmp3lame"),
    ],
)
def test_whatever_ffmpeg_reads_is_read_without_false_alarms(tmp_path, song, lag, name, codec):
    path = tmp_path / name
    samples = song(96000, 48000)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=48000, layout="stereo")
        stream.bit_rate = 192_000
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48000, 0
        kind = stream.codec_context.codec.audio_formats[0]
        for start in range(0, 96000, 1024):
            block = np.ascontiguousarray(samples[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 48000, start
            for part in av.AudioResampler(kind, "stereo", 48000).resample(frame):
                part.pts = start
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    reader, read = drain(path)
    assert reader.complete
    assert not reader.warnings
    assert reader.info.lossy == (codec not in ("flac", "alac"))
    assert abs(read.shape[1] - 96000) < 4096
    if not reader.info.lossy:
        assert read.shape == samples.shape
        assert np.abs(read - samples).max() < 1e-4
    # Bare streams do not tell the encoder's delay: what FFmpeg plays is what is read.
    told = name in ("a.webm", "a.mkv", "a.m4a")
    assert abs(lag(samples, read)) <= (0 if told else 2048)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.mp3", "a.ogg", "a.opus", "a.m4a"])
def test_damaged_files_never_crash(tmp_path, song, write, name):
    path = tmp_path / name
    write(path, song(20000, 48000), 48000)
    good = path.read_bytes()
    random = np.random.default_rng(len(good))
    for _ in range(25):
        bad = bytearray(good[: random.integers(1, len(good) + 1)])
        for place in random.integers(0, min(len(bad), 600), 4):
            bad[place] = random.integers(256)
        path.write_bytes(bad)
        try:
            reader, samples = drain(path)
            assert samples.shape[1] < 10**7
            assert reader.complete != bool(reader.warnings)
            read_excerpt(path, 5000, 1000)
        except AudioError:
            continue


@pytest.mark.parametrize("sample_rate", [8000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 3, 16])
def test_any_rate_and_count_of_channels(tmp_path, song, write, sample_rate, channels):
    samples = song(5000, sample_rate, channels)
    write(tmp_path / "a.wav", samples, sample_rate, bit_depth=32)
    read, rate = read_audio(tmp_path / "a.wav")
    assert rate == sample_rate
    assert np.array_equal(read, samples)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("ending", ["wav", "mkv"])
def test_sample_types_have_the_same_full_scale(tmp_path, song, subtype, ending):
    samples = song(5000)
    path = tmp_path / f"a.{ending}"
    soundfile.write(tmp_path / "a.wav", samples.T, 44100, subtype=subtype)
    expected = soundfile.read(tmp_path / "a.wav", dtype="float32")[0].T
    if ending == "mkv":  # the same samples, through FFmpeg
        with av.open(tmp_path / "a.wav") as source, av.open(path, "w") as target:
            stream = target.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(source.streams.audio[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    assert np.array_equal(read_audio(path)[0], expected)


def test_eight_planes_are_not_too_many(tmp_path):
    time = np.arange(48000) / 48000
    tones = np.array([300, 600, 900, 80, 1500, 1800, 2100, 2400])
    samples = (0.3 * np.sin(2 * np.pi * tones[:, None] * time)).astype(np.float32)
    path = tmp_path / "a.mp4"
    packed = np.ascontiguousarray(samples.T).reshape(1, -1)
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="7.1")
        stream.bit_rate = 768_000
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout="7.1")
        frame.sample_rate, frame.pts = 48000, 0
        planar = av.AudioResampler("fltp", "7.1", 48000).resample(frame)
        for packet in (*stream.encode(planar[0]), *stream.encode(None)):
            container.mux(packet)
    read = read_audio(path)[0]
    assert read.shape[0] == 8
    loudest = np.abs(np.fft.rfft(read[:, 12000:36000])).argmax(axis=1) * 2
    assert loudest.tolist() == tones.tolist()


def make_video(path, sounds, sample_rate):
    """Write a short film with one or more AAC sound tracks."""
    with av.open(path, "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        tracks = [container.add_stream("aac", rate=sample_rate, layout="stereo") for _ in sounds]
        for index in range(20):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index, np.uint8))
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(video.encode(picture))
        for track, samples in zip(tracks, sounds, strict=True):
            track.bit_rate = 256_000
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = sample_rate, 0
            container.mux(track.encode(frame))
        for stream in (video, *tracks):
            container.mux(stream.encode(None))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
def test_the_sound_of_a_video(tmp_path, excerpt_of_song, lag, ending):
    sound = np.ascontiguousarray(excerpt_of_song[:, :100001])
    path = tmp_path / f"film.{ending}"
    make_video(path, [sound], 44100)
    reader, samples = drain(path)
    assert reader.complete
    assert not reader.warnings
    assert lag(sound, samples) == 0
    if ending != "mkv":  # whose clock counts milliseconds
        assert samples.shape == sound.shape


def test_one_of_several_streams(tmp_path, song):
    sounds = [song(50000), song(60000)]
    path = tmp_path / "two.mp4"
    make_video(path, sounds, 44100)
    for index, sound in enumerate(sounds):
        assert read_audio(path, stream=index)[0].shape == sound.shape
        assert read_excerpt(path, 40000, 50000, stream=index).shape[1] == sound.shape[1] - 40000
    with pytest.raises(AudioError, match="has 2 audio streams, numbered from 0: there is no 2"):
        open_audio(path, stream=2)


def test_stems_of_musdb_are_streams(shared):
    path = next((shared / "data" / "musdb18-7-stems" / "train").glob("*.stem.mp4"))
    streams = [read_audio(path, stream=index)[0] for index in range(5)]
    mixture, stems = streams[0], sum(streams[1:])
    error = np.sum((mixture - stems) ** 2) / np.sum(mixture**2)
    assert 10 * np.log10(error) < -15
    with pytest.warns(AudioWarning, match="has 5 audio streams: stream 0 was taken"):
        assert np.array_equal(read_audio(path)[0], mixture)


def test_opus_of_another_original_rate(shared, lag):
    """libsndfile decodes at 16 kHz what FFmpeg decodes at 48: the same sound at the same time."""
    path = next((shared / "data" / "mir1k" / "annar").rglob("vocals.opus"))
    samples, sample_rate = read_audio(path)
    assert sample_rate == probe(path).sample_rate == 16000
    with av.open(path) as container:
        other = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    assert samples.shape[1] == -(-other.shape[1] // 3)
    assert lag(samples, np.ascontiguousarray(other[:, ::3])) == 0


def test_the_text_of_a_warning_names_the_file(tmp_path, song, write):
    path = tmp_path / "naïve song.wav"
    write(path, song(44100))
    path.write_bytes(path.read_bytes()[:100000])
    reader, _ = drain(path)
    assert reader.warnings == [
        "naïve song.wav is cut short or damaged: decoded 0.6 s of 1.0 s",
    ]
    assert probe(path).length == 44100
    assert probe(path).duration == 1.0


def test_wrong_arguments_are_refused(tricky):
    with (
        open_audio(tricky / "silence.wav") as reader,
        pytest.raises(ValueError, match="at least one"),
    ):
        list(reader.blocks(0))
    with pytest.raises(ValueError, match="start and length"):
        read_excerpt(tricky / "silence.wav", -1, 5)
