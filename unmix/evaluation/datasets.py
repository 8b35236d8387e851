"""Data sets by kind and path, such as ``musdb:PATH``: their tracks, and how they are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from ..data import Track, read_folder
from ..data.folders import FolderFormat
from ..data.left_out import warn_of
from ..errors import UnmixError
from ..stems import ACCOMPANIMENT, INSTRUMENTS, MIXTURE, VOCALS
from .musdb_tracks import SPLITS, musdb_tracks

#: Singers of MIR-1K whose 175 clips are for training; the other 825 clips are for testing.
TRAINING_SINGERS = ("abjones", "amy")
#: Hz, of MIR-1K.
SAMPLE_RATE = 16000
_STEMS = (MIXTURE, VOCALS, ACCOMPANIMENT, *INSTRUMENTS)
_USUAL = ("bss", "sdr", "si_sdr", "log_l1")


@dataclass(frozen=True)
class Dataset:
    """Tracks whose stems are known, and how they are scored."""

    name: str
    """Name in reports."""
    tracks: tuple[Track, ...]
    sample_rate: int | None = None
    """Hz at which tracks are scored; default: each track's own."""
    audio_channels: int | None = None
    """Channels in which tracks are scored; default: each track's own."""
    gain: float = 1.0
    """Factor of all stems: a half where the mixture is the mean of two channels."""
    metrics: tuple[str, ...] = _USUAL
    """Groups of metrics to compute by default: those that papers report."""

    def only(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Dataset:
        """Return the data set with some of its tracks.

        Args:
            include: patterns; names must match one of them. Default: all do.
            exclude: patterns; names must match none of them.

        Raises:
            UnmixError: no track is left.
        """
        tracks = tuple(
            track
            for track in self.tracks
            if (not include or _matches(track.name, include)) and not _matches(track.name, exclude)
        )
        if not tracks:
            raise UnmixError(f"{self.name}: none of the {len(self.tracks)} tracks is selected")
        return replace(self, tracks=tracks)


@dataclass(frozen=True)
class Kind:
    """A kind of data set."""

    about: str
    splits: tuple[str, ...]
    """The last one is the default; empty if there are none."""
    open: Callable[[Path, str], Dataset]


def open_dataset(where: str | Path, split: str | None = None) -> Dataset:
    """Return the data set of ``KIND:PATH``; a path alone is a folder of tracks.

    Args:
        where: a kind in ``KINDS`` and a path, or a path.
        split: one of the kind's splits; for a folder, the name of a folder in it.

    Raises:
        UnmixError: the kind or split is unknown, or the folder does not exist or has no tracks.
        AudioError: a file cannot be read.
    """
    name, colon, path = str(where).partition(":")
    if not colon or name not in KINDS:
        if colon and name.isidentifier() and len(name) > 1:
            raise UnmixError(f"{where}: unknown data set {name!r}; choose from {', '.join(KINDS)}")
        name, path = "folder", str(where)
    kind, root = KINDS[name], Path(path).expanduser()
    if name == "folder":
        root = root / split if split else root
    elif split and split not in kind.splits:
        choice = f"choose from {', '.join(kind.splits)}" if kind.splits else "it has none"
        raise UnmixError(f"{name} has no split {split!r}; {choice}")
    if not root.is_dir():
        raise UnmixError(f"{root}: no such folder of tracks")
    dataset = kind.open(root, split or (kind.splits[-1] if kind.splits else ""))
    if not dataset.tracks:
        raise UnmixError(f"{root}: no tracks of {dataset.name} found")
    return dataset


def _musdb(root: Path, split: str) -> Dataset:
    return Dataset(f"musdb {split}", tuple(musdb_tracks(root, split)))


def _folder(root: Path, split: str) -> Dataset:
    name = f"{root.parent.name} {root.name}" if split else root.name
    return Dataset(name or str(root), _read(root, "auto"))


def _ccmixter(root: Path, _: str) -> Dataset:
    return Dataset("ccmixter", _read(root, "ccmixter"))


def _dsd100(root: Path, split: str) -> Dataset:
    tracks = _read(root, "dsd100")
    wanted = f"*{split.capitalize()}/*"
    return Dataset(f"dsd100 {split}", tuple(t for t in tracks if fnmatch(t.name, wanted)))


def _mir1k(root: Path, split: str) -> Dataset:
    tracks = tuple(
        track
        for track in _read(root, "auto")
        if (_singer(track) in TRAINING_SINGERS) is (split == "train")
    )
    metrics = ("singing", "sdr", "si_sdr")
    return Dataset(f"mir1k {split}", tracks, SAMPLE_RATE, 1, gain=0.5, metrics=metrics)


def _singer(clip: Track) -> str:
    """Return who sings: the start of a clip's name, as in abjones_1_01, or its folder."""
    folder, name = Path(clip.name).parent.name, Path(clip.name).name
    return name.split("_")[0] if "_" in name else folder


def _read(root: Path, layout: FolderFormat) -> tuple[Track, ...]:
    contents = read_folder(root, _STEMS, format=layout, strict=True)
    warn_of(root, contents.left_out)
    return contents.tracks


def _matches(name: str, patterns: Sequence[str]) -> bool:
    parts = (name, Path(name).name)
    # Compare names first: as a pattern, "song [live]" matches another name.
    return any(part == p or fnmatch(part, p) for p in patterns for part in parts)


KINDS = {
    "musdb": Kind("MUSDB18 (.stem.mp4) or MUSDB18-HQ (wav)", tuple(SPLITS), _musdb),
    "ccmixter": Kind("TRACK/source-01, source-02 and mix", (), _ccmixter),
    "dsd100": Kind("Mixtures and Sources, each with Dev and Test", ("dev", "test"), _dsd100),
    "mir1k": Kind("MIR-1K: 175 clips to train, 825 to test", ("train", "test"), _mir1k),
    "folder": Kind("a folder per track, a file per stem", (), _folder),
}
