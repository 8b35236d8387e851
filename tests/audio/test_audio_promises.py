"""What a file promises is compared with what was decoded, whatever its format."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from unmix._types import Samples
from unmix.audio import open_audio, read_audio
from unmix.errors import AudioError, AudioWarning

RATE, LENGTH = 44100, 30000
Place = tuple[int, int, str]


def _noise(length: int = LENGTH) -> Samples:
    return np.random.default_rng(0).normal(0, 0.1, (length, 2)).astype(np.float32)


def _file(kind: str, subtype: str, rate: int = RATE, length: int = LENGTH) -> bytearray:
    made = io.BytesIO()
    soundfile.write(made, _noise(length), rate, format=kind, subtype=subtype)
    return bytearray(made.getvalue())


def _after(name: bytes, offset: int, size: int, order: str) -> Callable[[bytes], Place]:
    return lambda content: (content.find(name) + offset, size, order)


#: Format: coding, and where its header says how many samples there are.
FIELDS: dict[str, tuple[str, str, Callable[[bytes], Place]]] = {
    "wav": ("WAV", "PCM_16", _after(b"data", 4, 4, "little")),
    "float wav": ("WAV", "FLOAT", _after(b"data", 4, 4, "little")),
    "riff": ("WAV", "PCM_16", lambda _: (4, 4, "little")),
    "rf64": ("RF64", "PCM_16", _after(b"ds64", 16, 8, "little")),
    "rf64, data": ("RF64", "PCM_16", _after(b"data", 4, 4, "little")),
    "aiff": ("AIFF", "PCM_16", _after(b"COMM", 10, 4, "big")),
    "aiff, data": ("AIFF", "PCM_16", _after(b"SSND", 4, 4, "big")),
    "au": ("AU", "PCM_16", lambda _: (8, 4, "big")),
    "w64": ("W64", "PCM_16", _after(b"data\xf3", 16, 8, "little")),
    "caf": ("CAF", "PCM_16", _after(b"data", 4, 8, "big")),
    "flac": ("FLAC", "PCM_16", lambda _: (22, 4, "big")),
}
#: Sizes that no writer means, by the number of bits.
IMPOSSIBLE: dict[str, Callable[[int], int]] = {
    "zero": lambda bits: 0,
    "one": lambda bits: 1,
    "all ones": lambda bits: (1 << bits) - 1,
    "the largest signed": lambda bits: (1 << (bits - 1)) - 1,
    "the smallest signed": lambda bits: 1 << (bits - 1),
}


@pytest.mark.parametrize("value", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
@pytest.mark.parametrize("field", FIELDS)
def test_sizes_that_cannot_be_true_are_not_believed(
    tmp_path: Path, field: str, value: Callable[[int], int]
) -> None:
    """All samples come, without a word; or none, with an error. Never a part in silence."""
    kind, subtype, where = FIELDS[field]
    content = _file(kind, subtype)
    position, size, order = where(bytes(content))
    content[position : position + size] = value(8 * size).to_bytes(size, order)  # type: ignore[arg-type]
    path = tmp_path / "a"
    path.write_bytes(content)
    try:
        samples = read_audio(path, strict=True)[0]
    except AudioError:
        return
    assert samples.shape == (2, LENGTH)
    assert np.abs(samples - _noise().T).max() < 1e-4


@pytest.mark.parametrize(
    ("size", "believed"),
    [(0x7FFFF000, False), (1 << 31, False), (0xFFFFFFDB, False), (2_500_000_000, True)],
)
def test_gigabytes_are_missing_unless_a_pipe_wrote_the_size(
    tmp_path: Path, size: int, believed: bool
) -> None:
    content = _file("WAV", "PCM_16")
    place = content.find(b"data") + 4
    content[place : place + 4] = size.to_bytes(4, "little")
    path = tmp_path / "a"
    path.write_bytes(content)
    with open_audio(path) as reader:
        assert sum(block.shape[1] for block in reader.blocks()) == LENGTH
    assert reader.complete != believed


SUBTYPES = {
    "adpcm w64": ("W64", "IMA_ADPCM"),
    "adpcm aiff": ("AIFF", "IMA_ADPCM"),
    "avr": ("AVR", "PCM_16"),
    "wav": ("WAV", "PCM_16"),
    "float wav": ("WAV", "FLOAT"),
    "adpcm": ("WAV", "IMA_ADPCM"),
    "ms adpcm": ("WAV", "MS_ADPCM"),
    "a-law": ("WAV", "ALAW"),
    "rf64": ("RF64", "PCM_24"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "alac": ("CAF", "ALAC_16"),
    "flac": ("FLAC", "PCM_16"),
    "voc": ("VOC", "PCM_16"),
    "nist": ("NIST", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def _id3(padding: int = 2000, footer: bool = False) -> bytes:
    frame = b"TIT2" + (6).to_bytes(4, "big") + b"\0\0\0Title"
    size = len(frame) + padding
    head = b"\4\0" + bytes([16 * footer]) + bytes(size >> s & 127 for s in (21, 14, 7, 0))
    return b"ID3" + head + frame + bytes(padding) + (b"3DI" + head) * footer


FRONTS = {"": b"", "a tag": _id3(), "two tags": _id3(10) + _id3(0), "a footer": _id3(7, True)}


@pytest.mark.parametrize("front", FRONTS.values(), ids=FRONTS)
@pytest.mark.parametrize("name", SUBTYPES)
def test_half_a_file_is_said_behind_tags_too(tmp_path: Path, name: str, front: bytes) -> None:
    rate, length = (48000 if name == "opus" else RATE), 4 * LENGTH
    content = bytes(_file(*SUBTYPES[name], rate, length))
    whole, half = tmp_path / "whole", tmp_path / "half"
    whole.write_bytes(front + content)
    half.write_bytes(front + content[: len(content) // 2])
    samples = read_audio(whole, strict=True)[0]
    assert abs(samples.shape[1] - length) < 2000
    with pytest.warns(AudioWarning, match="half is (cut short|damaged)"):
        part = read_audio(half)[0]
    assert 0 < part.shape[1] < 0.75 * samples.shape[1]
    with pytest.raises(AudioError, match=r"half is .*strict"):
        read_audio(half, strict=True)


CONTAINERS = {
    "m4a": ("ipod", "aac"),
    "mp4": ("mp4", "aac"),
    "mov": ("mov", "pcm_s16le"),
    "mka": ("matroska", "pcm_s16le"),
    "webm": ("webm", "libopus"),
    "avi": ("avi", "pcm_s16le"),
    "wma": ("asf", "wmav2"),
    "tta": ("tta", "tta"),
    "wv": ("wv", "wavpack"),
    "aac": ("adts", "aac"),
    "ts": ("mpegts", "aac"),
    "mp2": ("mp2", "mp2"),
    "mpg": ("mpeg", "mp2"),
    "flv": ("flv", "aac"),
    "nut": ("nut", "pcm_s16le"),
    "sox": ("sox", "pcm_s32le"),
    "mp3.wav": ("wav", "libmp3lame"),
    "ac3": ("ac3", "ac3"),
}
#: Formats that say nowhere how long they are: half of one is a whole one.
WITHOUT_A_PROMISE = {"aac", "ts", "mp2", "mpg", "ac3", "nut"}


@pytest.fixture(scope="module")
def encode() -> Callable[[Path, str, str], None]:
    def encode(path: Path, container: str, codec: str) -> None:
        with av.open(str(path), "w", format=container) as made:
            rate = 48000
            stream = made.add_stream(codec, rate=rate, layout="stereo")
            stream.bit_rate = 128_000
            noise = np.random.default_rng(0).normal(0, 0.1, (2, 2 * rate))
            samples = (noise * 32767).clip(-32768, 32767).astype(np.int16)
            resampler = av.AudioResampler(stream.format, "stereo", rate)
            packed = np.ascontiguousarray(samples.T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = rate, 0
            size = stream.codec_context.frame_size or 4096
            fifo = av.AudioFifo()
            for part in resampler.resample(frame):
                fifo.write(part)
            while (piece := fifo.read(size, partial=True)) is not None:
                made.mux(stream.encode(piece))
            made.mux(stream.encode(None))

    return encode


@pytest.mark.parametrize("name", CONTAINERS)
def test_whole_files_are_complete_and_halves_are_not(
    tmp_path: Path, encode: Callable[[Path, str, str], None], name: str
) -> None:
    whole, half = tmp_path / f"whole.{name}", tmp_path / f"half.{name}"
    encode(whole, *CONTAINERS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        samples = read_audio(whole, strict=True)[0]
    assert abs(samples.shape[1] - 96000) < 5000
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    try:
        with open_audio(half) as reader:
            found = sum(block.shape[1] for block in reader.blocks())
    except AudioError:  # its table of contents is at the end
        return
    assert 0 < found < 0.75 * samples.shape[1]
    assert not reader.complete or name in WITHOUT_A_PROMISE


@pytest.mark.parametrize("junk", [b"TAG" + b"x" * 125, bytes(4096), b"LYRICS200" * 10])
@pytest.mark.parametrize("name", ["m4a", "mka", "avi", "wma", "wv"])
def test_bytes_that_follow_a_whole_file_are_no_damage(
    tmp_path: Path, encode: Callable[[Path, str, str], None], name: str, junk: bytes
) -> None:
    path = tmp_path / f"a.{name}"
    encode(path, *CONTAINERS[name])
    path.write_bytes(path.read_bytes() + junk)
    read_audio(path, strict=True)


@pytest.mark.parametrize(("kind", "head"), [("WAV", 44), ("AU", 24), ("AIFF", 54), ("OGG", 5000)])
def test_data_that_decodes_to_nothing_is_an_error(tmp_path: Path, kind: str, head: int) -> None:
    """The header is whole, and the first sample is not."""
    path = tmp_path / "a"
    path.write_bytes(_file(kind, "VORBIS" if kind == "OGG" else "PCM_16")[: head + 1])
    with pytest.raises(AudioError, match=r"a (holds sound that|cannot be read|has no audio)"):
        read_audio(path)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC"])
def test_a_file_without_samples_is_whole(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    soundfile.write(path, np.zeros((0, 2)), RATE, format=kind, subtype="PCM_16")
    if path.stat().st_size:  # libsndfile writes the head of FLAC with the first samples
        assert read_audio(path, strict=True)[0].shape == (2, 0)


@pytest.mark.parametrize("name", ["flac", "wav", "aiff", "ogg", "opus", "caf"])
def test_zeros_after_a_tag_are_skipped(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a"
    rate = 48000 if name == "opus" else RATE
    path.write_bytes(_id3(10) + bytes(500) + _file(*SUBTYPES[name], rate))
    assert abs(read_audio(path, strict=True)[0].shape[1] - LENGTH) < 2000


BACKS = {"ID3v1": b"TAG" + b"x" * 125, "ID3v2": _id3(100_000, True), "zeros": bytes(1000)}


@pytest.mark.parametrize("back", BACKS.values(), ids=BACKS)
@pytest.mark.parametrize("name", ["flac", "wav", "aiff", "ogg", "opus", "mp3", "caf"])
def test_tags_at_the_end_are_no_damage(
    tmp_path: Path, name: str, back: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(_file(*SUBTYPES[name], 48000 if name == "opus" else RATE) + back)
    try:
        assert abs(read_audio(path, strict=True)[0].shape[1] - LENGTH) < 2000
    except AudioError:
        assert name == "caf"  # whose chunks leave no room for others
    assert capfd.readouterr().err == ""
