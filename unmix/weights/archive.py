"""The wanted files out of an archive from the net, and nothing else, and nowhere else."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from lzma import LZMAError
from pathlib import Path
from typing import IO

from ..errors import ModelError

# What Macs put into archives beside the files.
_LITTER = "__MACOSX"
_LISTED = 5
# Bytes of all that is taken out: far more than any weights have, and less than fills a disk.
_MOST = 4 << 30
# What reading an archive may raise: of unknown compressions and of passwords, too.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


class RoomError(ModelError):
    """The disk is too full."""


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    name: str
    regular: bool
    """Whether it is a file, and no link or device."""
    size: int
    """Bytes that it says it has; no more can be read out of it."""
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Return whether a file can be unpacked; weights of torch and Chainer are zip files too."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def check_room(folder: Path, size: float) -> None:
    """Make sure that the disk of a folder has room for as many bytes.

    Raises:
        RoomError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise RoomError(
            f"{folder}: the disk is full: {size / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are "
            "free; make room, or use another disk: UNMIX_CACHE moves the cache"
        )


def unpack(archive: Path, wanted: str, folder: Path, what: str = "") -> Path:
    """Take a file, or all that belong together, out of a zip or tar archive.

    Args:
        archive: the file, compressed in any way that Python reads.
        wanted: path in the archive, below whatever folders it puts around all: of a file, of a
            folder, or what the names of several files have before a dot.
        folder: an empty one to put them into, by their paths from ``wanted`` on.
        what: what that is, for messages: "a TensorFlow checkpoint".

    Returns:
        The file, or the folder; the folder that the files are in, of several files.

    Raises:
        RoomError: where the disk is too full.
        ModelError: for an archive that is damaged, that lacks what is wanted, or in which what is
            wanted is a link, has a path that leads elsewhere, or is larger than any weights.
    """
    taken: set[str] = set()
    names: list[str] = []
    total = 0
    try:
        for member in _members(archive):
            name = member.name
            names.append(name)
            place = _place(name, wanted)
            if place is None or place in taken:
                continue
            if not member.regular or not _stays(name):
                raise ModelError(f"{archive}: {name!r} in it leads elsewhere; it is not unpacked")
            total += member.size
            if total > _MOST:
                raise ModelError(
                    f"{archive}: {wanted} in it has {total / 1e9:.1f} GB or more, unpacked; at "
                    f"most {_MOST / 1e9:.1f} GB are taken out"
                )
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            check_room(target.parent, member.size)
            with member.open() as content, target.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            taken.add(place)
    except _DAMAGE as error:
        raise ModelError(f"{archive}: a damaged archive ({error})") from None
    if not taken:
        held = ", ".join(names[:_LISTED]) or "nothing"
        explained = f"{wanted} in it ({what})" if what else f"{wanted} in it"
        raise ModelError(f"{archive}: expected {explained}, found {held}")
    path = folder / wanted
    return path if path.exists() else path.parent


def _place(name: str, wanted: str) -> str | None:
    """Return a member's path from ``wanted`` on; None for what is not wanted."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or parts[0] == _LITTER or parts[-1].startswith("._"):
        return None
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        if tail == wanted or tail.startswith((f"{wanted}/", f"{wanted}.")):
            return tail
    return None


def _stays(name: str) -> bool:
    """Return whether a path can only mean something below where it is put, on any platform."""
    return not name.startswith("/") and ".." not in name.split("/") and not set(name) & set("\\:\0")


def _members(archive: Path) -> Iterator[_Member]:
    """Yield what is in an archive, but for the folders."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    regular = info.external_attr >> 28 in (0, 8)  # 8: S_IFREG
                    opened = partial(packed.open, info)
                    yield _Member(info.filename, regular, info.file_size, opened)
    else:
        with tarfile.open(archive) as tarred:
            for entry in tarred:
                if not entry.isdir():
                    extract = partial(_extract, tarred, entry)
                    yield _Member(entry.name, entry.isfile(), entry.size, extract)


def _extract(tarred: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tarred.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return content
