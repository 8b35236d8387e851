"""A disk that is full at any byte: the file is whole, or there is none, and somebody says so."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from unmix._types import Samples
from unmix.audio import (
    FORMATS,
    AudioWriter,
    OutputFormat,
    Picture,
    Tags,
    read_audio,
    resampled_length,
    tags,
)
from unmix.audio.checked_file import CheckedFile
from unmix.audio.verification import check_written
from unmix.audio.writer import _FAILURES
from unmix.errors import AudioError

if sys.platform != "win32":
    import resource

RATE = 44100
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes")


@pytest.fixture(scope="module")
def song() -> Samples:
    rng = np.random.default_rng(3)
    tone = np.sin(np.arange(RATE // 2) * 0.05) * 0.3
    return (tone + rng.normal(0, 0.03, (2, tone.size))).astype(np.float32)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: to its writer, that is a disk that fills up.

    Python ignores the signal that comes with it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _write(path: Path, samples: Samples, name: str) -> None:
    form = OutputFormat.parse(name)
    with AudioWriter(path, sample_rate=RATE, channels=2, format=form, overwrite=True) as file:
        file.write(samples)


@posix
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_whole_or_absent(tmp_path: Path, song: Samples, name: str) -> None:
    path = tmp_path / f"a.{name}"
    _write(path, song, name)
    size, length = path.stat().st_size, read_audio(path)[0].shape[1]
    path.unlink()
    rng = np.random.default_rng(0)
    # The last pages are written when the encoder is closed: they are tried byte by byte.
    limits = [0, 1, *range(size - 12, size + 2), *map(int, rng.integers(2, size, 16))]
    for limit in limits:
        enough = nullcontext() if limit >= size else pytest.raises(AudioError, match="room on the")
        with enough as caught, file_size_limit(limit):
            _write(path, song, name)
        assert caught is None or str(path) in str(caught.value)
        assert path.exists() == (limit >= size)
        if path.exists():
            assert read_audio(path)[0].shape[1] == length
            path.unlink()
        assert not list(tmp_path.iterdir())


class _Failing:
    """A file of which one write fails, or all from it on."""

    writes = 0
    at = 0

    def __init__(self, file: IO[bytes], once: bool) -> None:
        self._file, self._once = file, once

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        _Failing.writes += 1
        number = _Failing.writes - 1
        if number == self.at or (number > self.at and not self._once):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._file.write(data)


@pytest.mark.parametrize("once", [True, False], ids=["once", "for ever"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_disk_that_breaks_is_one_sentence(
    tmp_path: Path, song: Samples, name: str, once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any single write may fail: what libraries write after it does not make up for it."""
    real = Path.open

    def failing(self: Path, mode: str = "r", *args: object, **more: object) -> object:
        opened = real(self, mode, *args, **more)  # type: ignore[call-overload]
        return _Failing(opened, once) if mode.startswith("w") else opened

    monkeypatch.setattr(Path, "open", failing)
    monkeypatch.setattr(_Failing, "writes", 0)
    monkeypatch.setattr(_Failing, "at", sys.maxsize)
    path = tmp_path / f"a.{name}"
    _write(path, song, name)
    path.unlink()
    count = _Failing.writes
    some = np.random.default_rng(0).integers(0, count, 4)
    for number in sorted({0, 1, count - 2, count - 1, *map(int, some)}):
        _Failing.writes, _Failing.at = 0, number
        with pytest.raises(AudioError, match=rf"a\.{name} cannot be written: Input/output error"):
            _write(path, song, name)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_a_disk_that_fails_late_is_one_sentence(
    tmp_path: Path, song: Samples, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing was promised to succeed, and only waiting for the disk shows that it did not."""

    def failing(number: int) -> None:
        del number
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(AudioError, match="is there room on the disk"):
        _write(tmp_path / f"a.{name}", song, name)
    assert not list(tmp_path.iterdir())


def test_a_file_that_lost_its_end_is_noticed(tmp_path: Path) -> None:
    file = CheckedFile(tmp_path / "a")
    file.write(bytes(100))
    file.seek(0)
    file.write(b"head")
    file.check()
    with (tmp_path / "a").open("r+b") as other:
        other.truncate(90)
    file.close()
    with pytest.raises(OSError, match="10 bytes"):
        file.check()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("samples", [1, 100, 1151, 4097])
def test_short_files_promise_what_was_written(
    tmp_path: Path, song: Samples, name: str, samples: int
) -> None:
    """Files of a few frames too, which some decoders do not recognize."""
    path = tmp_path / f"a.{name}"
    _write(path, song[:, :samples], name)
    rate = OutputFormat.parse(name).sample_rate_for(RATE)
    read = read_audio(path)[0].shape[1]
    check_written(path, length=read, sample_rate=rate)
    assert read == resampled_length(samples, RATE, rate)


SPOILERS: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "halved": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
@pytest.mark.parametrize("name", ["wav", "aiff", "mp3", "ogg", "opus", "m4a", "flac"])
def test_what_was_spoilt_before_it_has_a_name_is_not_published(
    tmp_path: Path,
    song: Samples,
    name: str,
    spoil: Callable[[Path], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the encoder says: the file on the disk is looked at."""
    real = AudioWriter._check_whole

    def spoilt(self: AudioWriter, file: CheckedFile) -> None:
        spoil(self._target)
        real(self, file)

    monkeypatch.setattr(AudioWriter, "_check_whole", spoilt)
    with pytest.raises((AudioError, *_FAILURES)):
        _write(tmp_path / f"a.{name}", song, name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tagged", [False, True], ids=["plain", "tagged"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_anywhere_is_noticed(
    tmp_path: Path, song: Samples, name: str, tagged: bool
) -> None:
    """A header promises the whole length whatever is left of the file behind it."""
    path = tmp_path / f"a.{name}"
    _write(path, song, name)
    if tagged:
        picture = Picture(data=bytes(range(256)) * 9 + b"!", mime="image/png")
        tags._write(path, Tags(fields={"title": ("odd",)}, pictures=(picture,)))
    rate = OutputFormat.parse(name).sample_rate_for(RATE)
    length = resampled_length(song.shape[1], RATE, rate)
    check_written(path, length=length, sample_rate=rate)
    data = path.read_bytes()
    cuts = np.random.default_rng(1).integers(0, len(data), 25)
    for size in (0, 1, 100, *range(len(data) - 12, len(data)), *map(int, cuts)):
        path.write_bytes(data[:size])
        with pytest.raises(AudioError):
            check_written(path, length=length, sample_rate=rate)


@pytest.mark.parametrize(("name", "bits"), [("wav", 24), ("aiff", 24), ("flac", 24), ("aiff", 16)])
@pytest.mark.parametrize("samples", [0, 1, 3, 4999])
def test_odd_counts_of_bytes_are_whole(
    tmp_path: Path, song: Samples, name: str, bits: int, samples: int
) -> None:
    """Chunks are padded to an even size, before and after tagging."""
    path = tmp_path / f"a.{name}"
    form = OutputFormat.parse(name, bits)
    with AudioWriter(path, sample_rate=RATE, channels=1, format=form) as file:
        file.write(song[:1, :samples])
    tags._write(path, Tags(fields={"title": ("odd",)}, pictures=()))
    check_written(path, length=samples, sample_rate=RATE)


@posix
@pytest.mark.parametrize("name", FORMATS)
def test_an_interrupt_is_never_lost(tmp_path: Path, name: str) -> None:
    """libsndfile drops what is raised while it writes to a file object."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, RATE)).astype(np.float32)
    path = tmp_path / f"a.{name}"
    form = OutputFormat.parse(name)

    def interrupted(seconds: float) -> None:
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
        with AudioWriter(path, sample_rate=RATE, channels=2, format=form) as file:
            timer.start()
            while timer.is_alive():
                file.write(noise)
            timer.join()
            threading.Event().wait(1)

    for number in range(3):
        with pytest.raises(KeyboardInterrupt):
            interrupted(0.01 + 0.007 * number)
        assert not list(tmp_path.iterdir())
