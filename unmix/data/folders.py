"""Tracks in folders: found, told apart, and opened; what cannot be read is left out by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Literal

from ..errors import AudioError, UnmixError
from ..stems import in_order
from .layouts import LAYOUTS, STEM_MP4, FolderListing, Found, Source, recognise
from .musdb import expand
from .packed import INDEX, open_packed
from .tracks import StemFile, Track

SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aiff", ".aif"))

Format = Literal["auto", "stems", "musdb18", "ccmixter", "dsd100", "mir-1k", "ikala", "packed"]


@dataclass(frozen=True)
class Skipped:
    """A file, or one stem in it, that is left out of a corpus."""

    path: Path
    stem: str
    reason: str


@dataclass(frozen=True)
class Contents:
    """What was understood of a folder."""

    format: str
    tracks: tuple[Track, ...]
    skipped: tuple[Skipped, ...] = ()


def find_tracks(
    root: Path, stems: Sequence[str], *, single: str | None = None, exclude: Sequence[str] = ()
) -> list[Track]:
    """Return the tracks below a folder, sorted by name; see ``read_folder``.

    Raises:
        UnmixError: where there is no such folder, not one track in it, or a file in it that cannot
            be read.
    """
    return list(read_folder(root, stems, single=single, exclude=exclude, strict=True).tracks)


def read_folder(
    root: Path,
    stems: Sequence[str],
    *,
    format: Format = "auto",  # noqa: A002  (the natural word, and a keyword only)
    single: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    strict: bool = False,
) -> Contents:
    """Find the tracks below a folder, and read the headers of their files.

    Args:
        root: the folder.
        stems: which to open; in the layout ``stems`` they are names of files, and other files are
            left alone.
        format: the layout; ``auto`` tells it by names, and refuses what could be two.
        single: where every file below ``root`` is a track of its own, the stem that it holds.
        include: patterns, with ``*``, of tracks or of paths relative to ``root`` (or of a folder
            above them); where given, all else is left out. ``musdb18:validation`` stands for the
            fourteen validation tracks of MUSDB18.
        exclude: patterns of what to leave out, likewise.
        strict: whether a file that cannot be read is an error; else it is left out.

    Raises:
        UnmixError: where there is no such folder, not one track in it, or its layout is unclear.
    """
    if not root.is_dir():
        raise UnmixError(f"{root}: no such folder of tracks")
    include, exclude = expand(include), expand(exclude)
    if format == "packed" or (format == "auto" and (root / INDEX).is_file()):
        tracks = [
            Track(track.name, {stem: track.stems[stem] for stem in track.stems if stem in stems})
            for track in open_packed(root)
            if _wanted([track.name], include, exclude)
        ]
        tracks = [track for track in tracks if track.stems]
        if not tracks:
            raise UnmixError(f"{root}: holds no track that is asked for")
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
        raise UnmixError(f"{root}: holds no track that is asked for")
    return _open(root, name, found, stems, strict=strict)


def _single(root: Path, stem: str, exclude: Sequence[str]) -> Found:
    return {
        str(path): {stem: Source(root / path)}
        for path in _audio_files(root, exclude)
        if path.suffix.lower() in SUFFIXES
    }


def _by_layout(
    root: Path, stems: Sequence[str], name: str, exclude: Sequence[str]
) -> tuple[str, Found]:
    listing = FolderListing(root, _audio_files(root, exclude), stems, asked=name != "auto")
    if name == "auto":
        return recognise(listing)
    found = LAYOUTS[name].find(listing)
    if not found:
        raise UnmixError(f"{root}: holds no track of the layout {name}: {LAYOUTS[name].about}")
    return name, found


def _open(root: Path, name: str, found: Found, stems: Sequence[str], *, strict: bool) -> Contents:
    """Read the headers of what was found; ``stems`` limits what is opened of a track."""
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
        raise UnmixError(f"{root}: holds no track that can be read{first}")
    return Contents(name, tuple(tracks), tuple(skipped))


def _audio_files(root: Path, exclude: Sequence[str]) -> list[Path]:
    """Return the audio files below a folder, relative to it, without those to leave out."""
    return [
        path.relative_to(root)
        for path in sorted(root.rglob("*"))
        if (path.suffix.lower() in SUFFIXES or path.name.endswith(STEM_MP4))
        and not path.name.startswith("._")  # what macOS leaves beside a file is no audio
        and not _matches([path.relative_to(root)], exclude)
    ]


def _wanted(names: Sequence[str | Path], include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Return whether a track of these names and paths is asked for."""
    return (not include or _matches(names, include)) and not _matches(names[:1], exclude)


def _matches(names: Iterable[str | Path], patterns: Sequence[str]) -> bool:
    """Return whether a pattern names one of the paths, or a folder above it."""
    return any(
        fnmatch(str(part), pattern)
        for name in names
        for part in (PurePath(name), *PurePath(name).parents[:-1])
        for pattern in patterns
    )
