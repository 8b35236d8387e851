"""Unpacking of downloaded archives: only the wanted files, and only into the given folder."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from ..errors import ModelError

# Macs put resource forks into archives, in this folder.
_LITTER = "__MACOSX"
_LISTED = 5
# Most bytes that are unpacked: far more than any weights have, too few to fill a disk.
_MOST = 4 << 30
# Most bytes of a tar archive, which is unpacked also to skip what is not wanted.
_MOST_PASSED = 32 << 30
# Most files in an archive.
_MOST_MEMBERS = 100_000
# Most bytes that a zip file of tensors may grow to, for each of its own; weights hardly shrink.
_GROWTH = 50
# Most bytes that are read at once from a tar archive: its reader takes names of any length.
_LONGEST_READ = 16 << 20
# Compressions of tar archives, by how they begin.
_COMPRESSIONS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
# Raised for damaged archives, unknown compressions and passwords.
_DAMAGE = (
    ValueError,
    LookupError,
    OverflowError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)


class RoomError(ModelError):
    """The disk is too full."""


class _WriteError(Exception):
    """Holds an error of the disk that is written to, not of the archive that is read."""


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    name: str
    regular: bool
    """Whether it is a file, not a link or device."""
    size: int
    """Declared bytes; no more can be read from it."""
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip or tar archive, as PyTorch's and Chainer's weights are too."""
    if not path.is_file():
        return False
    if _is_zip(path):
        return True
    try:
        with _tar(path):
            return True
    except _DAMAGE:
        return False


def _is_zip(path: Path) -> bool:
    """Return whether a file is a zip archive, be it a damaged one."""
    try:
        return zipfile.is_zipfile(path)
    except _DAMAGE:  # on some fields at its end, Python raises instead
        return True


def check_growth(path: Path) -> None:
    """Check that a zip file of tensors, as PyTorch and Chainer write, is no bomb.

    Any other file passes.

    Raises:
        ModelError: it would be far larger unpacked.
    """
    if not _is_zip(path):
        return
    try:
        with zipfile.ZipFile(path) as packed:
            total = sum(info.file_size for info in packed.infolist())
    except _DAMAGE as error:
        raise ModelError(f"{path}: the file is damaged ({error})") from None
    if total > min(_MOST, _GROWTH * path.stat().st_size):
        raise ModelError(
            f"{path}: not read: it would grow to {total / 1e6:.0f} MB, more than any weights"
        )


def check_room(folder: Path, size: float) -> None:
    """Check that the disk of a folder has room for ``size`` bytes.

    Raises:
        RoomError: the disk is too full.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise RoomError(
            f"{folder}: the disk is full: {size / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are "
            "free; free some space, or set UNMIX_CACHE to a folder on another disk"
        )


def unpack(archive: Path, wanted: str, folder: Path, what: str = "") -> Path:
    """Unpack one file, one folder, or all files of one prefix from a zip or tar archive.

    Args:
        archive: the file, in any compression that Python reads.
        wanted: path in the archive, without the folders that enclose everything: of a file, of a
            folder, or a prefix that several files share before a dot.
        folder: an empty folder to unpack into; paths start at ``wanted``.
        what: what ``wanted`` is, for messages: "a TensorFlow checkpoint".

    Returns:
        The file or folder; for a prefix, the folder that holds its files.

    Raises:
        RoomError: the disk is too full.
        ModelError: the archive is damaged or lacks ``wanted``, or a wanted member is a link, has
            a path that leads out of the folder, or is larger than any weights.
    """
    taken: set[str] = set()
    names: list[str] = []
    total = 0
    try:
        for member in _members(archive):
            name = member.name
            names.append(name)
            if len(names) > _MOST_MEMBERS:
                raise ModelError(f"{archive}: not unpacked: more than {_MOST_MEMBERS} files in it")
            place = _place(name, wanted)
            if place is None or place in taken:
                continue
            if not member.regular or not _stays(name):
                raise ModelError(
                    f"{archive}: not unpacked: its member {name!r} leads out of the folder"
                )
            total += member.size
            if total > _MOST:
                raise ModelError(
                    f"{archive}: not unpacked: its {wanted} has more than {_MOST / 1e9:.1f} GB"
                )
            target = folder / place
            _write(member, target)
            taken.add(place)
    except _WriteError as error:
        raise error.args[0] from None  # of the disk: the caller's
    except _DAMAGE as error:
        raise ModelError(f"{archive}: the archive is damaged ({error})") from None
    if not taken:
        held = ", ".join(names[:_LISTED]) or "nothing"
        explained = f"{wanted} in it ({what})" if what else f"{wanted} in it"
        raise ModelError(f"{archive}: expected {explained}, found {held}")
    path = folder / wanted
    return path if path.exists() else path.parent


def _write(member: _Member, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        check_room(target.parent, member.size)
        file = target.open("wb")
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise tarfile.TarError(f"{member.name!r} is both a file and a folder") from error
    except OSError as error:
        raise _WriteError(error) from None
    with file, member.open() as content:
        while block := content.read(1 << 20):
            try:
                file.write(block)
            except OSError as error:
                raise _WriteError(error) from None


def _place(name: str, wanted: str) -> str | None:
    """Return the path of a member from ``wanted`` on, None if it is not wanted."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or parts[0] == _LITTER or parts[-1].startswith("._"):
        return None
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        if tail == wanted or tail.startswith((f"{wanted}/", f"{wanted}.")):
            return tail
    return None


def _stays(name: str) -> bool:
    """Return whether a path stays below the folder it is unpacked into, on any platform."""
    return not name.startswith("/") and ".." not in name.split("/") and not set(name) & set("\\:\0")


def _members(archive: Path) -> Iterator[_Member]:
    """Yield the members of an archive, without folders."""
    if _is_zip(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    regular = info.external_attr >> 28 in (0, 8)  # 8: S_IFREG
                    opened = partial(packed.open, info)
                    yield _Member(info.filename, regular, info.file_size, opened)
    else:
        with _tar(archive) as tarred:
            for entry in tarred:
                if (
                    entry.offset_data + entry.size > _MOST_PASSED
                ):  # not wanted, but unpacked to skip
                    raise ModelError(f"{archive}: not unpacked: more than any weights in it")
                if not entry.isdir():
                    regular = entry.isfile() and not entry.issparse()
                    extract = partial(_extract, tarred, entry)
                    yield _Member(entry.name, regular, entry.size, extract)


@contextmanager
def _tar(archive: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar archive of any compression."""
    with archive.open("rb") as file:
        begin = file.read(6)
    openers = [_COMPRESSIONS[magic] for magic in _COMPRESSIONS if begin.startswith(magic)]
    with openers[0](archive) if openers else archive.open("rb") as unpacked:
        content = _Gentle(cast("io.BufferedIOBase", unpacked))
        with tarfile.open(fileobj=cast("IO[bytes]", content), mode="r:") as tarred:
            yield tarred


class _Gentle:
    """A file that refuses to be read in a piece that would fill the memory."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self.tell, self.seek = file.tell, file.seek
        self._read = file.read

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if size > _LONGEST_READ:
            raise tarfile.ReadError(f"a name of {size} bytes")
        return self._read(size)


def _extract(tarred: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tarred.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return content
