"""What a machine does to a job: a full disk, a broken one, a wrong clock, too little memory."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from . import shim

_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS
_ROOM = 64 << 20  # bytes of the small disk


class SmallDisk:
    """A file system in memory that only this process sees, and that ends with it.

    Where it cannot be made (no root), its folder is one like others, and ``is_real`` is False.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.is_real = ctypes.CDLL(None).unshare(_NEW_MOUNTS) == 0 and all(
            _runs("mount", *arguments)
            for arguments in (
                ("--make-rprivate", "/"),
                ("-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", str(folder)),
            )
        )

    @contextmanager
    def full(self, free: int) -> Iterator[None]:
        """Leave so many bytes free."""
        filler = self.folder / "filler"
        room = os.statvfs(self.folder)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_bsize - free))
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nothing be written."""
        _runs("mount", "-o", "remount,ro", str(self.folder))
        try:
            yield
        finally:
            _runs("mount", "-o", "remount,rw", str(self.folder))


Condition = Callable[[int], AbstractContextManager[None]]


def conditions(disk: SmallDisk, song: Path) -> Mapping[str, Condition]:
    """Return what can be tried on this machine; each takes an amount: bytes, or seconds.

    Args:
        disk: where the outputs go.
        song: the song that is read.
    """
    under = disk.folder
    known: dict[str, Condition] = {"file size": file_size, "memory": memory}
    if disk.is_real:
        known["disk full"] = disk.full
        known["read-only"] = lambda _: disk.read_only()
        known["no temporary files"] = lambda _: _no_temporary_files()
    if shim.is_loaded():
        known["no space"] = lambda after: shim.failing("write", errno.ENOSPC, after, under)
        known["EIO written"] = lambda after: shim.failing("write", errno.EIO, after, under)
        known["EIO read"] = lambda after: shim.failing("read", errno.EIO, after, song)
        known["clock"] = _jumping
    return known


@contextmanager
def file_size(most: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with _limited(resource.RLIMIT_FSIZE, most):
        yield
    signal.signal(signal.SIGXFSZ, before)


@contextmanager
def memory(more: int) -> Iterator[None]:
    """Let this process have so many bytes of address space more than it has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    with _limited(resource.RLIMIT_AS, pages * resource.getpagesize() + more):
        yield


@contextmanager
def _limited(what: int, most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most if hard < 0 else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


@contextmanager
def _no_temporary_files() -> Iterator[None]:
    """Let the folder of temporary files take none, while there is room for outputs."""
    before = tempfile.tempdir
    tempfile.tempdir = "/proc"  # exists, and takes no files
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def _jumping(seconds: int) -> Iterator[None]:
    """Let the clock jump forth and back, again and again."""
    ended = threading.Event()

    def jump() -> None:
        while not ended.is_set():
            with shim.clock_off(seconds):
                ended.wait(0.003)
            ended.wait(0.003)

    thread = threading.Thread(target=jump)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _runs(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0
