"""Layouts of corpora on disk, recognised by the names of folders and files.

A layout maps the audio files in a folder to tracks and stems. In CCMixter (Liutkus et al. 2014)
``source-01`` is the accompaniment and ``source-02`` the vocals; in MIR-1K (Hsu and Jang 2010) and
iKala (Chan et al. 2015) the left channel is the accompaniment and the right one the vocals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import UnmixError
from ..stems import ACCOMPANIMENT, MIXTURE, VOCALS
from .musdb import STREAMS

STEM_MP4 = ".stem.mp4"
_CCMIXTER = {"source-01": ACCOMPANIMENT, "source-02": VOCALS, "mix": MIXTURE}
_MIR_1K = re.compile(r"[A-Za-z]+_\d+_\d+")  # abjones_1_01: singer, song, clip
_IKALA = re.compile(r"\d+_(verse|chorus)")
#: Folder of the clips in MIR-1K and iKala; another folder of MIR-1K has the undivided songs.
_CLIPS = "Wavfile"


class Source(NamedTuple):
    """The file of a stem, and its stream or channel if the file has several stems."""

    path: Path
    stream: int | None = None
    channel: int | None = None


#: Sources by track name and stem name.
Found = dict[str, dict[str, Source]]


class FolderListing(NamedTuple):
    """The audio files in a folder."""

    root: Path
    paths: Sequence[Path]
    """Paths relative to the root, sorted."""
    stems: Sequence[str]
    """File names, without suffix, that are stems."""
    asked: bool
    """Whether the layout was given by name; otherwise it must be distinguishable from others."""


@dataclass(frozen=True)
class Layout:
    """One layout of a corpus."""

    about: str
    find: Callable[[FolderListing], Found]
    """Returns the tracks that have this layout, if any."""


def _stems(listing: FolderListing) -> Found:
    claimed = {source.path for stems in _dsd100(listing).values() for source in stems.values()}
    found: Found = {}
    free = [path for path in listing.paths if listing.root / path not in claimed]
    for (track, stem), path in _by_stem(free, listing.stems).items():
        found.setdefault(track, {})[stem] = Source(listing.root / path)
    return found


def one_case(name: str, stems: Sequence[str]) -> str | None:
    """Return the stem that a file's name is, in capitals or not; None if it is none."""
    if name in stems:
        return name
    same = [stem for stem in stems if stem.casefold() == name.casefold()]
    return same[0] if len(same) == 1 else None


def _by_stem(paths: Sequence[Path], stems: Sequence[str]) -> dict[tuple[str, str], Path]:
    """Return the file of each stem of each folder.

    Of several, the one is taken that is written as the stem is; if none or two are that, and it
    is not only their endings that differ, nothing tells which one is meant.
    """
    candidates: dict[tuple[str, str], list[Path]] = {}
    for path in paths:
        if stem := one_case(path.stem, stems):
            candidates.setdefault((str(path.parent), stem), []).append(path)
    found = {}
    for (folder, stem), several in candidates.items():
        exact = [path for path in several if path.stem == stem] or several
        if len({path.stem for path in exact}) == 1:
            found[folder, stem] = exact[-1]
    return found


def _musdb18(listing: FolderListing) -> Found:
    return {
        str(path)[: -len(STEM_MP4)]: {
            stem: Source(listing.root / path, stream=index) for index, stem in enumerate(STREAMS)
        }
        for path in listing.paths
        if path.name.lower().endswith(STEM_MP4)
    }


def _ccmixter(listing: FolderListing) -> Found:
    found: Found = {}
    for (track, name), path in _by_stem(listing.paths, tuple(_CCMIXTER)).items():
        found.setdefault(track, {})[_CCMIXTER[name]] = Source(listing.root / path)
    return {name: track for name, track in found.items() if {VOCALS, ACCOMPANIMENT} & set(track)}


def _dsd100(listing: FolderListing) -> Found:
    found: Found = {}
    halves = set()
    for path in listing.paths:
        *prefix, half, split, name = path.parent.parts if len(path.parts) > 3 else ("",) * 3
        half, split, stem = half.capitalize(), split.capitalize(), path.stem.lower()
        if half not in ("Mixtures", "Sources") or split not in ("Dev", "Test"):
            continue
        if (stem == MIXTURE) is (half == "Mixtures"):
            halves.add(half)
            track = found.setdefault(str(Path(*prefix, split, name)), {})
            track[stem] = Source(listing.root / path)
    return found if len(halves) == 2 else {}


def _clips(name: re.Pattern[str]) -> Callable[[FolderListing], Found]:
    def find(listing: FolderListing) -> Found:
        return {
            str(path.with_suffix("")): {
                ACCOMPANIMENT: Source(listing.root / path, channel=0),
                VOCALS: Source(listing.root / path, channel=1),
            }
            for path in listing.paths
            if name.fullmatch(path.stem)
            and (listing.asked or (listing.root / path).parent.name.capitalize() == _CLIPS)
        }

    return find


LAYOUTS: Mapping[str, Layout] = {
    "stems": Layout("a folder per track, a file per stem, as in MUSDB18-HQ", _stems),
    "musdb18": Layout("TRACK.stem.mp4 files of five streams", _musdb18),
    "ccmixter": Layout("TRACK/source-01, source-02 and mix", _ccmixter),
    "dsd100": Layout("Mixtures and Sources, each with Dev and Test", _dsd100),
    "mir-1k": Layout("Wavfile/singer_1_01.wav, vocals on the right", _clips(_MIR_1K)),
    "ikala": Layout("Wavfile/10161_chorus.wav, vocals on the right", _clips(_IKALA)),
}


def recognise(listing: FolderListing) -> tuple[str, Found]:
    """Return the layout of the files in a folder, and its tracks.

    Raises:
        UnmixError: no layout matches, or several do.
    """
    found = {name: layout.find(listing) for name, layout in LAYOUTS.items()}
    found = {name: tracks for name, tracks in found.items() if tracks}
    if not found:
        others = ", ".join(name for name in LAYOUTS if name != "stems")
        raise UnmixError(
            f"{listing.root}: no tracks found: no file is named {', '.join(listing.stems)}, and no "
            f"other layout matches ({others}); if every file is a track of one stem, name that "
            "stem with `single`"
        )
    if len(found) > 1:
        raise UnmixError(
            f"{listing.root}: tracks have {len(found)} layouts, {' and '.join(found)}; choose one "
            "with `format`, or name a subfolder"
        )
    return found.popitem()
