"""Paths that are about to be written: checked before any work, and named in errors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from ..errors import AudioError, UnmixError

Existing = Literal["error", "overwrite", "skip"]
EXISTING: tuple[Existing, ...] = ("error", "overwrite", "skip")

#: What is said of a file that may not be replaced.
EXISTS = (
    'exists already; existing="overwrite" (--overwrite) replaces it, '
    '"skip" (--skip-existing) keeps it'
)


def check_existing(existing: str) -> None:
    """Refuse what is no choice about existing files.

    Raises:
        UnmixError: it is not in ``EXISTING``.
    """
    if existing not in EXISTING:
        raise UnmixError(f"existing={existing!r}: choose from {', '.join(EXISTING)}")


def outputs_to_write(
    source: Path, outputs: Mapping[str, Path], existing: Existing, *, root: Path | None = None
) -> dict[str, Path]:
    """Return the outputs to write, checked before any work is done.

    Args:
        source: the song, which no output may replace.
        outputs: a path by name.
        existing: what to do about files that exist: ``error`` refuses them, ``overwrite`` replaces
            them, ``skip`` leaves them out.
        root: the folder that the user chose; no link below it may lead out of it.

    Raises:
        UnmixError: two outputs share a path, or one is a folder, the song itself, or exists; or a
            link leads out of the root.
        AudioError: a path cannot be examined: its name is too long, or its folder is locked.
    """
    seen: dict[str, str] = {}
    for name, path in outputs.items():
        other = seen.setdefault(one_name(path), name)
        if other != name:
            raise UnmixError(
                f"{path}: {other} and {name} would be one file; use {{stem}} in the template"
            )
        with writing(path):
            _refuse(name, path, source)
            if root is not None:
                _refuse_links_out(path, root)
    there = {name: path for name, path in outputs.items() if path.exists()}
    if there and existing == "error":
        raise UnmixError(f"{listed(there.values())}: {EXISTS}")
    return {n: path for n, path in outputs.items() if existing != "skip" or n not in there}


def one_name(path: Path) -> str:
    """Return a text that is the same for paths that some file system takes for one.

    Those of Windows and macOS treat "Vocals" and "vocals" as one name, and those of macOS treat a
    letter with its accent as one with the two that it can be written with.
    """
    return normalize("NFC", os.path.normcase(path).casefold())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system while writing a file into one sentence.

    Wrap only what touches files: an ``OSError`` of a callback, a closed pipe or a lost connection
    is not about the file.

    Args:
        path: the file that the sentence names.

    Raises:
        AudioError: in place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise AudioError(f"{path}: cannot be written: {error.strerror or error}") from error


def listed(paths: Iterable[Path]) -> str:
    """Return paths as a list in a sentence."""
    return ", ".join(map(str, paths))


def _refuse(name: str, path: Path, source: Path) -> None:
    """Refuse a path where a file would destroy something other than an older output."""
    if path.is_dir():
        raise UnmixError(f"{path}: is a folder, where {name} would be written")
    if path.is_symlink() and not path.exists():
        raise UnmixError(f"{path}: is a link to nothing, where {name} would be written; remove it")
    if path.exists() and path.samefile(source):
        raise UnmixError(f"{path}: {name} would replace the song itself; choose another folder")


def _refuse_links_out(path: Path, root: Path) -> None:
    """Refuse a path that a link, which somebody has put there, leads out of the root."""
    inside = os.path.realpath(root)
    place = os.path.realpath(path.parent)
    if not Path(place).is_relative_to(inside):
        raise UnmixError(
            f"{path}: a link leads out of {root}, to {place}: remove it, or choose that folder"
        )
