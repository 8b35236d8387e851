"""The wanted files out of an archive from the net, and nothing else, and nowhere else."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from lzma import LZMAError
from pathlib import Path
from typing import IO

from .errors import ModelError

# What Macs put into archives beside the files.
_LITTER = "__MACOSX"
_LISTED = 5
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


def is_archive(path: Path) -> bool:
    """Return whether a file can be unpacked; weights of torch and Chainer are zip files too."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def unpack(archive: Path, wanted: str, folder: Path) -> Path:
    """Take a file, or all that belong together, out of a zip or tar archive.

    Args:
        archive: the file, compressed in any way that Python reads.
        wanted: path in the archive, below whatever folders it puts around all: of a file, of a
            folder, or what the names of several files have before a dot.
        folder: an empty one to put them into, by their paths from ``wanted`` on.

    Returns:
        The file, or the folder; the folder that the files are in, of several files.

    Raises:
        ModelError: for an archive that is damaged, that lacks what is wanted, or in which what is
            wanted is a link or has a path that leads elsewhere.
    """
    taken: set[str] = set()
    names: list[str] = []
    try:
        for name, regular, opened in _members(archive):
            names.append(name)
            place = _place(name, wanted)
            if place is None or place in taken:
                continue
            if not regular or not _stays(name):
                raise ModelError(f"{archive}: {name!r} in it leads elsewhere; it is not unpacked")
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened() as content, target.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            taken.add(place)
    except _DAMAGE as error:
        raise ModelError(f"{archive}: a damaged archive ({error})") from None
    if not taken:
        held = ", ".join(names[:_LISTED]) or "nothing"
        raise ModelError(f"{archive}: expected {wanted} in it, found {held}")
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


def _members(archive: Path) -> Iterator[tuple[str, bool, Callable[[], IO[bytes]]]]:
    """Yield the name of every file in an archive, whether it is one, and what opens it."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    kind = info.external_attr >> 28
                    yield info.filename, kind in (0, 8), partial(packed.open, info)  # 8: S_IFREG
    else:
        with tarfile.open(archive) as tarred:
            for member in tarred:
                if not member.isdir():
                    yield member.name, member.isfile(), partial(_extract, tarred, member)


def _extract(tarred: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tarred.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return content
