"""Finding, opening and checking the tracks in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Literal

import numpy as np

from ..errors import AudioError, UnmixError
from ..stems import in_order
from .layouts import LAYOUTS, STEM_MP4, FolderListing, Found, Source, recognise
from .musdb import expand
from .packed import INDEX, open_packed
from .tracks import SILENCE, StemFile, Track, TrackProgress

TRACK_SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aiff", ".aif"))

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


def find_tracks(
    root: Path, stems: Sequence[str], *, single: str | None = None, exclude: Sequence[str] = ()
) -> list[Track]:
    """Return the tracks in a folder, sorted by name; see ``read_folder``.

    Raises:
        UnmixError: the folder does not exist or has no track, or a file cannot be read.
    """
    return list(read_folder(root, stems, single=single, exclude=exclude, strict=True).tracks)


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
        stems: stems to open. In the layout ``stems`` they are file names without suffix, and other
            files are ignored.
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
    if single:
        name, found = "single", _single(root, single, exclude)
    else:
        name, found = _by_layout(root, stems, format, exclude)
    found = {
        track: files
        for track, files in found.items()
        if _wanted(
            [track, *(file.path.relative_to(root) for file in files.values())], include, exclude
        )
    }
    if not found:
        raise UnmixError(f"{root}: no track matches `include` and `exclude`")
    return _open(root, name, found, stems, strict=strict)


def _single(root: Path, stem: str, exclude: Sequence[str]) -> Found:
    return {
        str(path): {stem: Source(root / path)}
        for path in _audio_files(root, exclude)
        if path.suffix.lower() in TRACK_SUFFIXES
    }


def _by_layout(
    root: Path, stems: Sequence[str], name: str, exclude: Sequence[str]
) -> tuple[str, Found]:
    listing = FolderListing(root, _audio_files(root, exclude), stems, asked=name != "auto")
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


def _audio_files(root: Path, exclude: Sequence[str]) -> list[Path]:
    """Return the audio files in a folder, relative to it, without excluded ones."""
    return [
        path.relative_to(root)
        for path in sorted(root.rglob("*"))
        if (path.suffix.lower() in TRACK_SUFFIXES or path.name.endswith(STEM_MP4))
        and not path.name.startswith("._")  # metadata files of macOS
        and not _matches([path.relative_to(root)], exclude)
    ]


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
