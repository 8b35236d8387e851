"""Hidden folders that a running process owns, and what is left of those whose owner has ended.

Everything that is not whole yet waits in such a folder, beside its place::

    FOLDER/.unmix-HOST-BOOT-TOKEN/    made by the machine HOST since its start BOOT
        .owner                        locked for as long as the owner lives

The lock is the system's (``flock``), which ends with the process however it ends; no age and no
process number is guessed from. Whoever meets a folder whose lock is free removes it. Where locks
say nothing, the folder is kept: on file systems without them, and in folders made by another
machine, since some network file systems lock on each machine alone.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EEXIST
from functools import cache
from pathlib import Path
from typing import Literal
from zlib import crc32

from .locks import Held, try_lock

#: What the name of everything hidden begins with.
PREFIX = ".unmix-"
#: File in a hidden folder that its owner has locked.
OWNER = ".owner"
_NAME = re.compile(r"\.unmix-([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{8}")
# Each attempt has a new name; one fails only where another process takes the folder for a leftover.
_ATTEMPTS = 20
_RESUMABLE = re.compile(r"\..+\.packing", re.DOTALL)

State = Literal["left", "in use", "unknown"]


@dataclass(frozen=True)
class Leftover:
    """Something hidden, and whether its owner lives."""

    path: Path
    size: int
    """Bytes of its files."""
    state: State
    """``left``: the owner has ended. ``unknown``: no lock tells."""


@contextmanager
def hidden_folder(parent: Path) -> Iterator[Path]:
    """Yield a new hidden folder, which is removed with everything in it when the block ends.

    What ended processes have left in ``parent`` is removed first. A forked child that leaves the
    block leaves the folder to its parent.

    Raises:
        OSError: the folder cannot be made.
    """
    remove_leftovers(parent)
    folder, lock = _made(parent)
    maker = os.getpid()
    try:
        yield folder
    finally:
        lock.close()  # first, as network file systems keep open files under another name
        if os.getpid() == maker:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path, *, depth: int = 0) -> None:
    """Remove what processes that have ended left in a folder, and ``depth`` levels below it."""
    for folder in hidden_in(parent, depth=depth):
        remove(folder)


def remove(path: Path, *, unknown: bool = False) -> State:
    """Remove something hidden unless its owner lives; return what is known of the owner.

    Args:
        path: a path of ``hidden_in``.
        unknown: whether to remove it too if nothing tells whether its owner lives.
    """
    lock, state = _asked(path)
    with suppress(OSError):
        if state == "left" or (state == "unknown" and unknown):
            # With the lock held: one who has just made the folder then sees that it is gone.
            _delete(path)
            lock.close()
            _delete(path)
    lock.close()
    return state


def look(path: Path) -> Leftover:
    """Return the size of something hidden, and what is known of its owner; nothing is removed."""
    lock, state = _asked(path, make=False)
    lock.close()
    return Leftover(path, size_of(path), state)


def hidden_in(parent: Path, *, depth: int = 0, resumable: bool = False) -> Iterator[Path]:
    """Yield what is hidden in a folder, and below it; links are not followed.

    Args:
        parent: the folder; one that cannot be read has nothing.
        depth: how many levels of folders below it to search; -1: all.
        resumable: whether to yield packings too, which the next one continues.
    """
    waiting = [(parent, depth)]
    while waiting:
        folder, left = waiting.pop()
        found, below = [], []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    ours = entry.name.startswith(PREFIX)
                    if ours or (resumable and _RESUMABLE.fullmatch(entry.name)):
                        found += [entry.name] * (not entry.is_symlink())
                    elif left and entry.is_dir(follow_symlinks=False):
                        below.append(entry.name)
        except OSError:
            continue
        yield from (folder / name for name in sorted(found))
        waiting += [(folder / name, left - 1) for name in sorted(below, reverse=True)]


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; links are not followed."""
    with suppress(OSError):
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            return found.st_size
        return sum(size_of(entry) for entry in path.iterdir())
    return 0


def _made(parent: Path) -> tuple[Path, Held]:
    """Make a hidden folder and lock it."""
    for _ in range(_ATTEMPTS):
        folder = parent / f"{PREFIX}{'-'.join(_machine())}-{secrets.token_hex(4)}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        try:
            lock = try_lock(folder / OWNER)
            if lock.free is not False and lock.in_place:
                return folder, lock
            lock.close()
        except FileNotFoundError:  # removed by another, before it was locked
            continue
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    raise FileExistsError(EEXIST, os.strerror(EEXIST), str(parent))


def _asked(path: Path, *, make: bool = True) -> tuple[Held, State]:
    """Return the lock of something hidden, held if it was free, and the state of its owner."""
    named = _NAME.fullmatch(path.name) or _RESUMABLE.fullmatch(path.name)
    nothing = Held(None, None, path)
    if named is None or not path.is_dir() or path.is_symlink():
        return nothing, "unknown"  # of an earlier version, or of somebody else
    try:
        lock = try_lock(path / OWNER, make=make)
    except FileNotFoundError:  # its owner was stopped before it made the lock
        return nothing, "left" if _known_machine(named) else "unknown"
    except OSError:  # locked away, or removed meanwhile
        return nothing, "unknown"
    if lock.free is False:
        return lock, "in use"
    return lock, "left" if lock.free and _known_machine(named) else "unknown"


def _known_machine(named: re.Match[str]) -> bool:
    """Return whether a hidden folder was made on this machine, whose locks this process sees."""
    if named.re is _RESUMABLE:
        return True
    host, boot = _machine()
    return named[1] == host or named[2] == boot


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@cache
def _machine() -> tuple[str, str]:
    """Return hashes of this machine's name and of its start, which containers on it share."""
    host = socket.gethostname()
    boot = host
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    return tuple(f"{crc32(os.fsencode(text)):08x}" for text in (host, boot))  # type: ignore[return-value]
