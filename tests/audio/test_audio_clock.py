"""The sound's clock is kept: missing packets become silence of the same length, and are named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from av.packet import Packet

from unmix._types import Samples
from unmix.audio import open_audio, read_excerpt
from unmix.audio.reader import AudioReader

RATE, LENGTH = 48000, 3 * 48000
#: By container: FFmpeg's name, and codec.
CONTAINERS = {
    "mkv": ("matroska", "aac"),
    "mka": ("matroska", "flac"),
    "mkv mp3": ("matroska", "libmp3lame"),
    "mkv pcm": ("matroska", "pcm_s16le"),
    "webm": ("webm", "libopus"),
    "mp4": ("mp4", "aac"),
    "mov": ("mov", "aac"),
    "ts": ("mpegts", "aac"),
    "mpg": ("mpeg", "mp2"),
    "flv": ("flv", "aac"),
    "nut": ("nut", "pcm_s16le"),
    "wma": ("asf", "wmav2"),
    "opus": ("ogg", "libopus"),
}
Change = Callable[[float, "Packet[av.AudioStream]"], bool]


@pytest.fixture(scope="module")
def sound() -> Samples:
    """Noise, different everywhere, so that every place is found again."""
    noise = np.random.default_rng(0).normal(0, 0.1, (2, LENGTH))
    # Narrow enough for every codec to keep its shape.
    spectrum = np.fft.rfft(noise)
    spectrum[:, LENGTH // 12 :] = 0
    return np.fft.irfft(spectrum).astype(np.float32)


def encode(path: Path, container: str, codec: str, sound: Samples, change: Change) -> None:
    """Write samples; ``change`` sees each packet with its time, and drops it by returning True."""
    with av.open(str(path), "w", format=container) as made:
        stream = made.add_stream(codec, rate=RATE, layout="stereo")
        stream.bit_rate = 192_000
        for packet in [*_packets(stream, sound)]:
            time = float(packet.pts * packet.time_base)
            if not change(time, packet):
                made.mux(packet)


def _packets(stream: av.AudioStream, sound: Samples) -> Iterator[Packet[av.AudioStream]]:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = RATE, 0
    fifo = av.AudioFifo()
    for part in av.AudioResampler(stream.format, "stereo", RATE).resample(frame):
        fifo.write(part)
    size = stream.codec_context.frame_size or 1024
    done = 0
    while (piece := fifo.read(size, partial=True)) is not None:
        piece.pts, done = done, done + piece.samples
        yield from stream.encode(piece)
    yield from stream.encode(None)


def drain(path: Path) -> tuple[AudioReader, Samples]:
    with open_audio(path) as reader:
        return reader, np.concatenate([*reader.blocks()], axis=1)


def late(sound: Samples, read: Samples, at: float) -> int:
    """Return by how many samples a place comes late."""
    start, size = round(at * RATE), RATE // 4
    wanted = np.fft.rfft(sound[0, start : start + size], 2 * size)
    found = np.fft.rfft(read[0, start : start + size], 2 * size)
    peak = int(np.argmax(np.fft.irfft(np.conj(wanted) * found)))
    return peak if peak < size else peak - 2 * size


def whole(time: float, packet: Packet[av.AudioStream]) -> bool:
    return False


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_hole_keeps_its_length_and_is_said(tmp_path: Path, sound: Samples, name: str) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    encode(good, *CONTAINERS[name], sound, whole)
    encode(bad, *CONTAINERS[name], sound, lambda time, _: 1 < time < 1.8)
    reader, expected = drain(good)
    assert reader.complete, reader.warnings
    assert not reader.warnings
    reader, read = drain(bad)
    (warning,) = reader.warnings
    found = re.search(
        r"bad(?:: | is damaged: )(0\.\d+) s at (1\.\d) s are missing and became silence", warning
    )
    assert found, warning
    assert abs(float(found[1]) - 0.8) < 0.06
    # A video or a stream may be recorded so; Ogg counts its pages.
    assert reader.complete == (name not in ("opus", "ogg", "oga"))
    assert abs(read.shape[1] - expected.shape[1]) < RATE // 500
    assert not read[:, round(1.2 * RATE) : round(1.6 * RATE)].any()
    for at in (0.5, 2.0, 2.5):
        # Clocks that count milliseconds are that exact.
        assert abs(late(expected, read, at)) <= RATE // 500, at


@pytest.mark.parametrize("name", CONTAINERS)
def test_excerpts_of_a_file_with_a_hole_are_parts_of_the_whole(
    tmp_path: Path, sound: Samples, name: str
) -> None:
    path = tmp_path / "a"
    encode(path, *CONTAINERS[name], sound, lambda time, _: 1 < time < 1.8)
    read = drain(path)[1]
    for at in (0.2, 0.9, 1.3, 1.9, 2.5):
        start = round(at * RATE)
        excerpt = read_excerpt(path, start, RATE // 4)
        assert excerpt.shape == (2, RATE // 4)
        assert np.abs(excerpt - read[:, start : start + RATE // 4]).max() < 0.02, at


def _pages(content: bytes) -> list[bytes]:
    pages, place = [], 0
    while place < len(content):
        count = content[place + 26]
        end = place + 27 + count + sum(content[place + 27 : place + 27 + count])
        pages.append(content[place:end])
        place = end
    return pages


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS", "FLAC"])
def test_lost_pages_of_ogg_keep_their_time(tmp_path: Path, sound: Samples, subtype: str) -> None:
    path, long = tmp_path / "a.ogg", np.tile(sound, 2)
    if subtype == "FLAC":
        encode(path, "ogg", "flac", long, whole)
    else:
        soundfile.write(path, long.T, RATE, format="OGG", subtype=subtype)
    expected = drain(path)[1]
    pages = _pages(path.read_bytes())
    middle = len(pages) // 2 - 1
    path.write_bytes(b"".join(pages[:middle] + pages[middle + 1 :]))
    reader, read = drain(path)
    assert "are missing and became silence" in " ".join(reader.warnings)
    assert not reader.complete
    assert read.shape == expected.shape
    for at in (0.5, 5.5):
        assert late(expected, read, at) == 0
    excerpt = read_excerpt(path, 5 * RATE, 1000)
    assert np.abs(excerpt - read[:, 5 * RATE : 5 * RATE + 1000]).max() < 1e-3


def test_a_hole_that_an_avi_counts_is_a_shortfall(tmp_path: Path, sound: Samples) -> None:
    path = tmp_path / "a.avi"
    encode(path, "avi", "aac", sound, lambda time, _: 1 < time < 1.8)
    reader, _ = drain(path)
    assert not reader.complete
    assert "a.avi is cut short or damaged: decoded 2.2 s of 3.0 s" in reader.warnings


def _moved(shift: Callable[[float], float]) -> Change:
    def change(time: float, packet: Packet[av.AudioStream]) -> bool:
        for name in ("pts", "dts"):
            setattr(packet, name, getattr(packet, name) + round(shift(time) / packet.time_base))
        return False

    return change


ODD_CLOCKS: dict[str, Callable[[float], float]] = {
    "uneven": lambda time: 0.008 * np.sin(40 * time),
    "slow": lambda time: 0.003 * time,
    "one late": lambda time: 0.015 * (1 < time < 1.02),
}


@pytest.mark.parametrize("shift", ODD_CLOCKS.values(), ids=ODD_CLOCKS)
@pytest.mark.parametrize("name", ["mkv", "ts", "mp4"])
def test_odd_clocks_are_no_holes(
    tmp_path: Path, sound: Samples, name: str, shift: Callable[[float], float]
) -> None:
    path, good = tmp_path / "a", tmp_path / "good"
    encode(good, *CONTAINERS[name], sound, whole)
    encode(path, *CONTAINERS[name], sound, _moved(shift))
    reader, read = drain(path)
    assert reader.complete
    assert not reader.warnings
    assert abs(read.shape[1] - drain(good)[1].shape[1]) <= 0.004 * LENGTH


@pytest.mark.parametrize("seconds", [0.0, 3000.0])
def test_another_clock_is_said_and_closes_nothing(
    tmp_path: Path, sound: Samples, seconds: float
) -> None:
    halves, parts = np.split(sound, 2, axis=1), (tmp_path / "0", tmp_path / "1")
    encode(parts[0], *CONTAINERS["ts"], halves[0], whole)
    encode(parts[1], *CONTAINERS["ts"], halves[1], _moved(lambda _: seconds))
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    reader, read = drain(path)
    assert reader.complete
    assert "its clock jumps by" in " ".join(reader.warnings)
    assert abs(read.shape[1] - LENGTH) < 5000
