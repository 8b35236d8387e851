"""Tracks in folders: a folder per track with a file per stem, or a file per track of one stem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from ..errors import UnmixError
from ..stems import in_order
from .tracks import StemFile, Track

SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aiff", ".aif"))


def find_tracks(
    root: Path, stems: Sequence[str], *, single: str | None = None, exclude: Sequence[str] = ()
) -> list[Track]:
    """Return the tracks below a folder, sorted by name.

    Args:
        root: the folder.
        stems: names of files (without suffix) that are stems; other files are left alone.
        single: where every file below ``root`` is a track of its own, the stem that it holds.
        exclude: patterns, with ``*``, of paths relative to ``root`` (or of a folder above them) to
            leave out.

    Raises:
        UnmixError: where there is no such folder, or not one track in it.
    """
    if not root.is_dir():
        raise UnmixError(f"{root}: no such folder of tracks")
    groups: dict[Path, dict[str, Path]] = {}
    for path in _audio_files(root):
        relative = path.relative_to(root)
        if any(fnmatch(str(part), pattern) for part in _lineage(relative) for pattern in exclude):
            continue
        if single:
            groups[relative] = {single: path}
        elif path.stem in stems:
            groups.setdefault(relative.parent, {})[path.stem] = path
    if not groups:
        raise UnmixError(f"{root}: holds no track with a file for one of {', '.join(stems)}")
    return [
        Track(str(name), {stem: StemFile.open(files[stem]) for stem in in_order(files)})
        for name, files in sorted(groups.items())
    ]


def _audio_files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.suffix.lower() in SUFFIXES)


def _lineage(relative: Path) -> list[Path]:
    """Return a path and the folders above it, so that a pattern can name any of them."""
    return [relative, *relative.parents][:-1]
