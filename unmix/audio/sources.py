"""What a song may be given as: a path, a pipe, bytes, or an open file. All become a path.

Decoders go back and forth in a file, and look at it more than once. So what can be read only once,
or has no path, is copied to a temporary folder first, up to a limit.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from ..errors import AudioError, UnmixError

#: What a song may be given as, besides samples in memory.
Source = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO

#: Bytes that are copied of a pipe or an open file; what is longer is refused.
SPOOL_LIMIT = 8 << 30
_PIECE = 1 << 20
_STDIN = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/(?=/?[^/])", re.I)  # a Path has one slash of the two
_REMEDY = "give a path, bytes, or a file that is open for reading in binary mode"


def is_source(source: object) -> TypeGuard[Source]:
    """Return whether something is a song to be read, not samples in memory.

    Raises:
        AudioError: it is neither.
    """
    if isinstance(source, str | PathLike | bytes | bytearray | memoryview):
        return True
    if source is None:
        raise AudioError(f"expected a song, got None: {_REMEDY}")
    if isinstance(source, list | tuple | set) and (
        not source or any(isinstance(one, str | PathLike | bytes) for one in source)
    ):
        kind = type(source).__name__
        raise AudioError(f"expected one song, got a {kind} of {len(source)}: call once for each")
    return hasattr(source, "read")


def is_stdin(source: object) -> bool:
    """Return whether something is a name of standard input."""
    return isinstance(source, str | PathLike) and os.fspath(source) in _STDIN


def is_streamed(path: Path) -> bool:
    """Return whether a path is standard input or a pipe, which can be read only once."""
    if is_stdin(path):
        return True
    with suppress(OSError, ValueError):
        return stat.S_ISFIFO(path.stat().st_mode)
    return False


@contextmanager
def source_path(source: Source, *, limit: int = SPOOL_LIMIT) -> Iterator[Path]:
    """Yield the path of a song.

    A song without a path is copied to a temporary folder, which is removed at the end. The copy is
    named after its source, as results and errors are: ``stdin`` for standard input.

    Args:
        source: a path; ``-`` for standard input; a pipe; bytes; or a file that is open for reading
            in binary mode, which is read from its position to its end, and stays open.
        limit: bytes that are copied at most.

    Raises:
        AudioError: it is nothing of these, or longer than the limit.
    """
    if not is_source(source):
        raise AudioError(f"expected a song, got {type(source).__name__}: {_REMEDY}")
    if isinstance(source, str | PathLike) and not is_streamed(Path(source)):
        _check_path(os.fspath(source))
        yield Path(source)
        return
    name = _name(source)
    with tempfile.TemporaryDirectory(prefix="unmix-") as folder:
        copy = Path(folder) / name
        try:
            with copy.open("wb") as target:
                for piece in _pieces(source, name):
                    if target.tell() + len(piece) > limit:
                        raise AudioError(
                            f"{name} is longer than {limit} bytes, the limit for what has to be "
                            "copied first: save it as a file, and give its path"
                        )
                    target.write(piece)
        except OSError as error:
            raise AudioError(f"{name} cannot be copied: {error.strerror or error}") from error
        if not copy.stat().st_size:
            raise AudioError(f"{name} is empty{_at_end(source)}")
        try:
            yield copy
        except UnmixError as error:  # nobody knows the copy
            raise type(error)(str(error).replace(str(copy), name)) from error


def _check_path(path: str) -> None:
    """Refuse what is named like a file and is none."""
    if not isinstance(path, str):
        raise AudioError(f"expected a path as text, got {type(path).__name__}")
    if _ADDRESS.match(path) and not Path(path).exists():
        raise AudioError(f"{path} is an address: download it first, and give the file")
    try:
        mode = Path(path).stat().st_mode
    except ValueError as error:  # a zero byte
        raise AudioError(f"{path!r} is not a path: {error}") from error
    except OSError:  # said by who opens it
        return
    for test, what in (
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            raise AudioError(f"{path} is {what}, not a file: save what it gives, and give that")


def _name(source: Source) -> str:
    if isinstance(source, str | PathLike):
        if is_stdin(source):
            return "stdin"
        path = Path(source)
        return f"pipe-{path.name}" if path.name.isdecimal() else path.name
    name = getattr(source, "name", None)
    if isinstance(name, str) and (last := Path(name).name) and "\0" not in last:
        return "stdin" if last == "<stdin>" else last
    return "song"


def _pieces(source: Source, name: str) -> Iterator[bytes | memoryview]:
    if isinstance(source, bytes | bytearray | memoryview):
        with memoryview(source) as whole, whole.cast("B") as view:
            for start in range(0, len(view), _PIECE):
                yield view[start : start + _PIECE]
    elif isinstance(source, str | PathLike):
        with _open(source) as file:
            yield from _read(file, name)
    else:
        yield from _read(source, name)


def _open(source: str | PathLike[str]) -> BinaryIO:
    if not is_stdin(source):
        return Path(source).open("rb")
    try:
        mode = os.fstat(0).st_mode
    except OSError as error:
        raise AudioError("standard input is closed: pipe a song into it") from error
    if stat.S_ISDIR(mode):
        raise AudioError("standard input is a folder: pipe a song into it")
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):  # a terminal, /dev/null, /dev/zero
        raise AudioError("standard input is a terminal or device: pipe a song into it")
    return open(0, "rb", closefd=False)


def _read(file: BinaryIO, name: str) -> Iterator[bytes]:
    while True:
        try:
            piece: Any = file.read(_PIECE)
        except (ValueError, TypeError, NotImplementedError) as error:  # closed; another `read`
            raise AudioError(f"{name} cannot be read: {error}") from error
        if isinstance(piece, str):
            raise AudioError(f"{name} is open as text: open it in binary mode, 'rb'")
        if piece is None:
            raise AudioError(f"{name} has nothing to read yet: open it in blocking mode")
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise AudioError(f"{name} gives {type(piece).__name__}, not bytes: {_REMEDY}")
        if not len(piece):
            return
        yield bytes(piece)


def _at_end(source: Source) -> str:
    """Return the remedy for a file that has been read or written before."""
    with suppress(AttributeError, OSError, ValueError):
        if getattr(source, "tell", int)() > 0:
            return " from its position on: call seek(0) first"
    return ": nothing came out of it"
