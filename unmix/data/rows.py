"""The rows of a training item: a model's stems, from vocals and parts of the accompaniment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._types import Samples
from ..errors import ConfigError
from ..stems import ACCOMPANIMENT, INSTRUMENTS, MIXTURE, RESIDUAL, VOCALS
from .tracks import Term, Track, mix


@dataclass(frozen=True)
class Part:
    """A stem, possibly without other stems in it."""

    stem: str
    without: tuple[str, ...] = ()

    def terms(self, track: Track) -> tuple[Term, ...]:
        """Return the files of a track that sum to the part; empty if it cannot be computed."""
        return track.terms(self.stem, self.without)

    def files(self, track: Track) -> tuple[str, ...]:
        """Return the stems of a track that sum to the part; empty if it is not a plain sum."""
        parts = track.parts(self.stem)
        whole = all(name in parts for name in self.without)
        return tuple(name for name in parts if name not in self.without) if whole else ()

    def __str__(self) -> str:
        return f"{self.stem} without {', '.join(self.without)}" if self.without else self.stem


@dataclass(frozen=True)
class Rows:
    """The rows of an item: a model's stems, then the residual of the mixture if there is one."""

    stems: tuple[str, ...]
    accompaniment: tuple[Part, ...]
    """Parts that sum to the accompaniment."""

    @classmethod
    def of(cls, stems: Sequence[str]) -> Rows:
        """Return the rows of a model of ``stems``.

        Raises:
            ConfigError: the stems are not disjoint parts of a mixture.
        """
        instruments = tuple(name for name in stems if name not in (VOCALS, ACCOMPANIMENT))
        listed = ", ".join(stems)
        if not stems or MIXTURE in stems or len(set(stems)) < len(stems):
            raise ConfigError(f"stems must be different parts of a mixture, not {listed or 'none'}")
        if ACCOMPANIMENT in stems and instruments:
            raise ConfigError(
                f"accompaniment includes the other stems of {listed}: remove one or the other"
            )
        if not instruments:
            return cls(tuple(stems), (Part(ACCOMPANIMENT),))
        accompaniment = tuple(Part(name) for name in instruments)
        if not set(INSTRUMENTS) <= set(instruments):
            accompaniment = (*accompaniment, Part(ACCOMPANIMENT, without=instruments))
        return cls(tuple(stems), accompaniment)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each row."""
        return self.stems if self._covered else (*self.stems, RESIDUAL)

    @property
    def _covered(self) -> bool:
        """Whether the stems are the whole mixture."""
        return VOCALS in self.stems and all(part.stem in self.stems for part in self.accompaniment)

    def stack(self, vocals: Samples, accompaniment: Sequence[Samples]) -> Samples:
        """Return rows ``[S, C, N]`` from vocals and accompaniment parts, ``[C, N]`` each."""
        have = {VOCALS: vocals}
        have |= {
            str(part): samples
            for part, samples in zip(self.accompaniment, accompaniment, strict=True)
        }
        rows = [have.pop(stem) for stem in self.stems]
        if have:
            rows.append(mix(have.values()))
        stacked: Samples = np.stack(rows)
        return stacked
