"""The tracks of MUSDB18, as the package musdb lists them.

MUSDB18 (``.stem.mp4``) and MUSDB18-HQ (wav): Rafii et al., "The MUSDB18 corpus for music
separation" (2017), "MUSDB18-HQ" (2019).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ..audio import probe
from ..data import StemFile, Track
from ..data.layouts import STEM_MP4
from ..data.musdb import STREAMS
from ..errors import UnmixError, missing_extra
from ..stems import MIXTURE

#: musdb's subset and split for each of ours: ``train`` and ``valid`` share its 100 training tracks.
SPLITS = {"train": ("train", "train"), "valid": ("train", "valid"), "test": ("test", None)}


def musdb_tracks(root: Path, split: str) -> list[Track]:
    """Return the tracks of a split of MUSDB18 or MUSDB18-HQ below ``root``.

    Raises:
        UnmixError: musdb is not installed or finds no tracks.
        AudioError: a file cannot be read.
    """
    is_wav = not any(root.glob(f"*/*{STEM_MP4}"))
    subset, part = SPLITS[split]
    found = _musdb().DB(root=str(root), subsets=subset, split=part, is_wav=is_wav).tracks
    if not found:
        kind = f"TRACK/{MIXTURE}.wav" if is_wav else f"TRACK{STEM_MP4}"
        raise UnmixError(f"{root}: no tracks of split {split}; musdb expects {subset}/{kind}")
    return [Track(track.name, _files(track, is_wav=is_wav)) for track in found]


def _files(track: object, *, is_wav: bool) -> dict[str, StemFile]:
    """Return the mixture and the stems of musdb's track."""
    path = Path(track.path)  # type: ignore[attr-defined]
    if not is_wav:
        return {stem: StemFile.open(path, stream=index) for index, stem in enumerate(STREAMS)}
    sources = {name: source.path for name, source in track.sources.items()}  # type: ignore[attr-defined]
    return {MIXTURE: StemFile.open(path)} | {
        name: StemFile.open(Path(source)) for name, source in sources.items()
    }


class _Info:
    """What musdb asks stempeg about a file, answered by our own reader."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def samples(self, stream: int) -> int:
        return probe(self._path, stream=self._stream(stream)).length or 0

    def rate(self, stream: int) -> int:
        return probe(self._path, stream=self._stream(stream)).sample_rate

    def duration(self, stream: int) -> float:
        return self.samples(stream) / self.rate(stream)

    def _stream(self, stream: int) -> int | None:
        return stream if self._path.name.endswith(STEM_MP4) else None


@cache
def _musdb() -> ModuleType:
    """Return musdb, of which only the lists of tracks are used.

    It imports stempeg, which fails on machines without the ffmpeg program. The lists need only
    lengths and rates, so a stand-in for stempeg provides them while musdb loads. Both are removed
    from ``sys.modules`` afterwards, so that no other code gets them.
    """
    stand_in = ModuleType("stempeg")
    vars(stand_in)["Info"] = _Info
    with _instead("stempeg", stand_in), _instead("musdb", None):
        try:
            return import_module("musdb")
        except ImportError:
            raise UnmixError(missing_extra("musdb")) from None


@contextmanager
def _instead(name: str, module: ModuleType | None) -> Iterator[None]:
    """Make imports find a module in place of another, or import it anew; then restore all."""

    def taken() -> dict[str, ModuleType]:
        names = [key for key in sys.modules if key == name or key.startswith(f"{name}.")]
        return {key: sys.modules.pop(key) for key in names}

    before = taken()
    if module is not None:
        sys.modules[name] = module
    try:
        yield
    finally:
        taken()
        sys.modules.update(before)
