"""A song may be a path, a pipe, bytes or an open file; anything else is refused in a sentence."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from unmix.audio import AudioWriter, OutputFormat, open_audio, read_audio
from unmix.audio.sources import is_source, source_path
from unmix.errors import AudioError


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    with AudioWriter(path, sample_rate=8000, channels=2, format=OutputFormat.parse("wav")) as file:
        file.write(np.linspace(-0.5, 0.5, 8000, dtype=np.float32).reshape(2, -1))
    return path


class Unseekable(io.RawIOBase):
    """Gives three bytes at a time, and can only go forward."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 1000))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO, Unseekable])
def test_bytes_and_files_are_read_like_their_path(song: Path, kind: Any) -> None:
    expected, rate = read_audio(song)
    samples, own_rate = read_audio(kind(song.read_bytes()))
    assert rate == own_rate
    np.testing.assert_array_equal(samples, expected)


def test_an_open_file_is_named_and_stays_open(song: Path) -> None:
    with song.open("rb") as file:
        with open_audio(file) as reader:
            copy = reader.path
            assert copy.name == "song.wav"
        assert not copy.parent.exists()
        assert not file.closed
        with pytest.raises(AudioError, match=r"song\.wav is empty from its position on: call seek"):
            read_audio(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_read(song: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp3"
    os.mkfifo(pipe)
    writer = Thread(target=lambda: pipe.write_bytes(song.read_bytes()))
    writer.start()
    with source_path(pipe) as copy:
        assert copy.name == "pipe.mp3"
        assert copy.read_bytes() == song.read_bytes()
    writer.join()
    out, into = os.pipe()
    writer = Thread(target=lambda: (os.write(into, song.read_bytes()), os.close(into)))
    writer.start()
    with source_path(f"/dev/fd/{out}") as copy:
        assert copy.name == f"pipe-{out}"
        assert copy.stat().st_size == song.stat().st_size
    writer.join()
    os.close(out)


def test_what_is_copied_has_a_limit() -> None:
    with (
        pytest.raises(AudioError, match="song is longer than 10 bytes"),
        source_path(b"a" * 11, limit=10),
    ):
        pass
    with source_path(b"a" * 10, limit=10) as path:
        assert path.stat().st_size == 10


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "got None"),
        (["a.wav", "b.wav"], "expected one song, got 2: call once"),
        ([Path("a.wav")], "expected one song, got 1"),
        ([], "expected one song, got 0"),
        (7, "expected a song, got int"),
        (b"", "song is empty"),
        (io.StringIO("x"), "open as text"),
        ("http://example.org/a.mp3", "is an address: download it first"),
        (Path("https://example.org/a.mp3"), "is an address: download it first"),
        ("a\0b", "is not a path"),
        (b"text", "cannot be read as audio"),
    ],
)
def test_what_is_no_song_is_refused(source: Any, sentence: str) -> None:
    with pytest.raises(AudioError, match=sentence):
        read_audio(source)


def test_closed_files_are_refused(song: Path) -> None:
    with song.open("rb") as file:
        pass
    with pytest.raises(AudioError, match=r"song\.wav cannot be read: "):
        read_audio(file)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
def test_devices_are_refused(device: str) -> None:
    if not Path(device).exists():
        pytest.skip("no such device here")
    with pytest.raises(AudioError, match="is a device, not a file"):
        read_audio(device)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs sockets with a path")
def test_sockets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("song.mp3")
        with pytest.raises(AudioError, match="is a socket, not a file"):
            read_audio("song.mp3")


def test_samples_are_no_source() -> None:
    assert not is_source([0.0, 0.5])
    assert not is_source(np.zeros(3))
