"""The files of a corpus that are not used: each has a reason, and none is left out in silence."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .layouts import STEM_MP4, Found, one_case

_log = logging.getLogger(__name__)

TRACK_SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aiff", ".aif"))
#: Reasons that are no surprise: nobody is warned of them while training.
NO_AUDIO = "which are no audio files that are read"
NOT_WANTED = "which `include` and `exclude` leave out"
_HIDDEN = "which are hidden"
_FOLDER_LINK = "which are links to folders, or to nothing"
_UNREADABLE = "which are folders that cannot be read"
_NO_STEM = "whose names are no stem's of this layout"
_TWICE = "whose stem another file of the track is, or more than one could be"


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used."""

    path: Path
    """Relative to the folder of the corpus."""
    reason: str
    """The end of a sentence about several such files."""


class Listing(NamedTuple):
    """What is in a folder and below it."""

    files: tuple[Path, ...]
    """Plain files, relative to the folder, sorted."""
    others: tuple[LeftOut, ...]
    """What cannot be looked into."""


def list_files(root: Path) -> Listing:
    """Return what is in a folder and below it; links to folders are not followed."""
    files: list[Path] = []
    others: list[LeftOut] = []

    def unreadable(error: OSError) -> None:
        others.append(LeftOut(Path(os.path.relpath(error.filename, root)), _UNREADABLE))

    for folder, below, names in os.walk(root, onerror=unreadable):
        place = Path(folder)
        for name in (*below, *names):
            path = place / name
            if name in names and path.is_file():
                files.append(path.relative_to(root))
            elif name in names or path.is_symlink():
                others.append(LeftOut(path.relative_to(root), _FOLDER_LINK))
    return Listing(tuple(sorted(files)), tuple(sorted(others, key=lambda it: it.path)))


def is_track(path: Path) -> bool:
    """Return whether a file's name is that of audio which corpora are read from."""
    if path.name.startswith("."):  # hidden, or metadata of macOS
        return False
    return path.suffix.lower() in TRACK_SUFFIXES or path.name.lower().endswith(STEM_MP4)


def left_out(
    root: Path,
    listing: Listing,
    found: Found,
    used: Found,
    wanted: Iterable[Path],
    stems: Sequence[str],
) -> tuple[LeftOut, ...]:
    """Return the files that are not used, each with its reason.

    Args:
        root: the folder.
        listing: what is in it.
        found: the tracks that its layout has.
        used: those of them that were asked for.
        wanted: audio files that no pattern excludes.
        stems: names of files that are stems.
    """
    of_used = {s.path for track in used.values() for s in track.values()}
    taken = {s.path for track in used.values() for name, s in track.items() if name in stems}
    known = {s.path for track in found.values() for s in track.values()}
    asked = set(wanted)

    def reason(path: Path) -> str:
        if path.name.startswith("."):
            return _HIDDEN
        if not is_track(path):
            return NO_AUDIO
        if root / path in of_used:
            return _NO_STEM
        if root / path in known or path not in asked:
            return NOT_WANTED
        return _TWICE if one_case(path.stem, stems) else _NO_STEM

    rest = (LeftOut(path, reason(path)) for path in listing.files if root / path not in taken)
    return (*listing.others, *rest)


def warn_of(root: Path, files: Sequence[LeftOut]) -> None:
    """Log a warning for every reason that may be a surprise."""
    for sentence in sentences([it for it in files if it.reason not in (NO_AUDIO, NOT_WANTED)]):
        _log.warning("%s: %s", root, sentence)


def sentences(files: Sequence[LeftOut], most: int = 10) -> Iterator[str]:
    """Yield a sentence for every reason, with the number of files and the first names."""
    by_reason: dict[str, list[Path]] = {}
    for it in files:
        by_reason.setdefault(it.reason, []).append(it.path)
    for reason, paths in by_reason.items():
        names = ", ".join(str(path) for path in paths[:most])
        more = f" and {len(paths) - most} more" if len(paths) > most else ""
        yield f"{len(paths)} left out {reason}: {names}{more}"
