"""Finding, opening and checking the tracks in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Literal

import numpy as np

from ..errors import AudioError, UnmixError
from ..stems import in_order
from .layouts import LAYOUTS, FolderListing, Found, Source, recognise
from .left_out import TRACK_SUFFIXES, LeftOut, is_track, left_out, list_files, warn_of
from .musdb import expand
from .packed import INDEX, open_packed
from .tracks import SILENCE, StemFile, Track, TrackProgress

FolderFormat = Literal[
    "auto", "stems", "musdb18", "ccmixter", "dsd100", "mir-1k", "ikala", "packed"
]


@dataclass(frozen=True)
class Skipped:
    """A file, or one stem in it, that is skipped."""

    path: Path
    stem: str
    reason: str


@dataclass(frozen=True)
class Contents:
    """The tracks of a folder, and what was skipped."""

    format: str
    tracks: tuple[Track, ...]
    skipped: tuple[Skipped, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    """Files that are no stem's, or were not asked for."""


def find_tracks(
    root: Path, stems: Sequence[str], *, single: str | None = None, exclude: Sequence[str] = ()
) -> list[Track]:
    """Return the tracks in a folder, sorted by name; see ``read_folder``.

    Raises:
        UnmixError: the folder does not exist or has no track, or a file cannot be read.
    """
    contents = read_folder(root, stems, single=single, exclude=exclude, strict=True)
    warn_of(root, contents.left_out)
    return list(contents.tracks)


def read_folder(
    root: Path,
    stems: Sequence[str],
    *,
    format: FolderFormat = "auto",  # noqa: A002  (keyword only)
    single: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    strict: bool = False,
) -> Contents:
    """Find the tracks in a folder, and read the headers of their files.

    Args:
        root: the folder.
        stems: stems to open. In the layout ``stems`` they are file names without suffix, in any
            case; other files are left out.
        format: the layout; ``auto`` detects it by names.
        single: name of the only stem, for a folder in which every file is a track.
        include: patterns, with ``*``, of track names, of paths relative to ``root``, or of their
            parent folders; if given, only matching tracks are used. ``musdb18:validation`` stands
            for the fourteen validation tracks of MUSDB18.
        exclude: likewise, patterns of tracks to skip.
        strict: whether a file that cannot be read is an error; otherwise it is skipped.

    Raises:
        UnmixError: the folder does not exist or has no such track, or its layout is ambiguous.
    """
    if not root.is_dir():
        raise UnmixError(f"{root}: no such folder")
    include, exclude = expand(include), expand(exclude)
    if format == "packed" or (format == "auto" and (root / INDEX).is_file()):
        tracks = [
            Track(track.name, {stem: track.stems[stem] for stem in track.stems if stem in stems})
            for track in open_packed(root)
            if _wanted([track.name], include, exclude)
        ]
        tracks = [track for track in tracks if track.stems]
        if not tracks:
            raise UnmixError(f"{root}: no track matches `include` and `exclude`")
        return Contents("packed", tuple(tracks))
    listing = list_files(root)
    paths = [p for p in listing.files if is_track(p) and not _matches([p], exclude)]
    if single:
        name, found = "single", _single(root, single, paths)
    else:
        name, found = _by_layout(root, stems, format, paths)
    used = {
        track: files
        for track, files in found.items()
        if _wanted(
            [track, *(file.path.relative_to(root) for file in files.values())], include, exclude
        )
    }
    if not used:
        raise UnmixError(f"{root}: no track matches `include` and `exclude`")
    contents = _open(root, name, used, stems, strict=strict)
    names = (*stems, single) if single else stems
    return replace(contents, left_out=left_out(root, listing, found, used, paths, names))


def _single(root: Path, stem: str, paths: Sequence[Path]) -> Found:
    return {
        str(path): {stem: Source(root / path)}
        for path in paths
        if path.suffix.lower() in TRACK_SUFFIXES
    }


def _by_layout(
    root: Path, stems: Sequence[str], name: str, paths: Sequence[Path]
) -> tuple[str, Found]:
    listing = FolderListing(root, paths, stems, asked=name != "auto")
    if name == "auto":
        return recognise(listing)
    found = LAYOUTS[name].find(listing)
    if not found:
        raise UnmixError(f"{root}: no track has the layout {name} ({LAYOUTS[name].about})")
    return name, found


def _open(root: Path, name: str, found: Found, stems: Sequence[str], *, strict: bool) -> Contents:
    """Read the headers of the files of ``stems``."""
    tracks, skipped = [], []
    for track, sources in sorted(found.items()):
        files = {}
        for stem in in_order(sources):
            if stem not in stems and name != "single":
                continue
            source = sources[stem]
            try:
                files[stem] = StemFile.open(
                    source.path, stream=source.stream, channel=source.channel
                )
            except AudioError as error:
                if strict:
                    raise
                skipped.append(Skipped(source.path, stem, str(error)))
        if files:
            tracks.append(Track(track, files))
    if not tracks:
        first = f": {skipped[0].reason}" if skipped else ""
        raise UnmixError(f"{root}: no track can be read{first}")
    return Contents(name, tuple(tracks), tuple(skipped))


def _wanted(names: Sequence[str | Path], include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Return whether a track with these names and paths is included."""
    return (not include or _matches(names, include)) and not _matches(names[:1], exclude)


def _matches(names: Iterable[str | Path], patterns: Sequence[str]) -> bool:
    """Return whether a pattern matches one of the paths, or a parent folder."""
    return any(
        fnmatch(str(part), pattern)
        for name in names
        for part in (PurePath(name), *PurePath(name).parents[:-1])
        for pattern in patterns
    )


def check_tracks(
    tracks: Sequence[Track], progress: TrackProgress = lambda fraction, track: None
) -> Iterator[Skipped]:
    """Yield the stems that do not decode to their end, and those that are silent.

    Args:
        tracks: the tracks to decode.
        progress: see ``TrackProgress``.
    """
    total, seconds = sum(track.seconds for track in tracks), 0.0
    for track in tracks:
        progress(seconds / total, track.name)
        for stem, file in track.stems.items():
            if reason := _fault(file):
                yield Skipped(file.path, stem, reason)
        seconds += track.seconds


def _fault(file: StemFile) -> str | None:
    loudest = 0.0
    try:
        for block in file.blocks():
            loudest = max(loudest, float(np.abs(block).max(initial=0)))
    except AudioError as error:
        return str(error)
    return f"{file.path} is silent throughout" if loudest < SILENCE else None
