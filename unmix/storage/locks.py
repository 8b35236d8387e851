"""Locks of the operating system on files, which end with the process that holds them."""

from __future__ import annotations

import os
import stat
import sys
from errno import EACCES, EAGAIN, EINVAL, EWOULDBLOCK
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD = {EWOULDBLOCK, EAGAIN, EACCES}


class Held:
    """An open file that was asked for its lock; the lock ends when it is closed.

    It is never unlocked otherwise: forked children share the lock, and would end it for all.

    Args:
        number: descriptor of the open file, None if there is none.
        free: whether the lock was free and is held now; None: there are no locks on its disk.
        path: the file.
    """

    def __init__(self, number: int | None, free: bool | None, path: Path) -> None:
        self._number = number
        self.path = path
        self.free = free

    @property
    def in_place(self) -> bool:
        """Whether the file still has its name: else another process has removed it."""
        if self._number is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._number), self.path.lstat())
        except OSError:
            return False

    def close(self) -> None:
        """Close the file, and so end the lock."""
        if self._number is not None:
            os.close(self._number)
            self._number = None


def try_lock(path: Path, *, make: bool = True) -> Held:
    """Open a file and take its lock if it is free; never wait.

    Another thread of this process counts like another process.

    Args:
        path: the file.
        make: whether to make it if it is missing.

    Raises:
        OSError: the file cannot be made or opened, or is a link or no plain file.
    """
    flags = os.O_RDWR | (os.O_CREAT if make else 0)
    for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    number = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(EINVAL, os.strerror(EINVAL), str(path))
        return Held(number, _lock(number), path)
    except BaseException:
        os.close(number)
        raise


def _lock(number: int) -> bool | None:
    """Return whether a file could be locked; None where locks do not exist."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True
