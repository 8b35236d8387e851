"""Rows: what a model's stems mean for an item, vocals apart from what plays with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._types import Samples
from ..errors import ConfigError
from ..stems import ACCOMPANIMENT, INSTRUMENTS, VOCALS
from .tracks import MIXTURE, Term, Track, mix

#: Name of the row that holds whatever no stem of the model holds.
RESIDUAL = "residual"


@dataclass(frozen=True)
class Part:
    """A stem, or what is left of it without others: something that a track may have."""

    stem: str
    without: tuple[str, ...] = ()

    def terms(self, track: Track) -> tuple[Term, ...]:
        """Return the files that sum to it; empty where it cannot be had."""
        return track.terms(self.stem, self.without)

    def files(self, track: Track) -> tuple[str, ...]:
        """Return the names of the files that it is the sum of, where it is a plain sum."""
        parts = track.parts(self.stem)
        whole = all(name in parts for name in self.without)
        return tuple(name for name in parts if name not in self.without) if whole else ()

    def __str__(self) -> str:
        return f"{self.stem} without {', '.join(self.without)}" if self.without else self.stem


@dataclass(frozen=True)
class Rows:
    """The rows of an item: a model's stems in its order, and the residual of the mixture if any."""

    stems: tuple[str, ...]
    accompaniment: tuple[Part, ...]
    """What plays with the vocals, in parts that together are the accompaniment."""

    @classmethod
    def of(cls, stems: Sequence[str]) -> Rows:
        """Return the rows of a model of ``stems``.

        Raises:
            ConfigError: where the stems are not parts of a mixture that exclude each other.
        """
        instruments = tuple(name for name in stems if name not in (VOCALS, ACCOMPANIMENT))
        listed = ", ".join(stems)
        if not stems or MIXTURE in stems or len(set(stems)) < len(stems):
            raise ConfigError(f"stems to train on are different parts of a mixture, not {listed}")
        if ACCOMPANIMENT in stems and instruments:
            raise ConfigError(f"the accompaniment holds the other stems of {listed}: name one kind")
        if not instruments:
            return cls(tuple(stems), (Part(ACCOMPANIMENT),))
        accompaniment = tuple(Part(name) for name in instruments)
        if not set(INSTRUMENTS) <= set(instruments):
            accompaniment = (*accompaniment, Part(ACCOMPANIMENT, without=instruments))
        return cls(tuple(stems), accompaniment)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every row."""
        return self.stems if self._covered else (*self.stems, RESIDUAL)

    @property
    def _covered(self) -> bool:
        """Whether the stems are the whole mixture."""
        return VOCALS in self.stems and all(part.stem in self.stems for part in self.accompaniment)

    def stack(self, vocals: Samples, accompaniment: Sequence[Samples]) -> Samples:
        """Return ``[S, C, N]`` of vocals and the parts of the accompaniment, all ``[C, N]``."""
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
