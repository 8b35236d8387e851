"""Matching: choose songs to mix by tempo and key.

Networks learn well from mixtures of unrelated songs; Jeon et al., "Why does music source separation
benefit from cacophony?" (arXiv 2402.18407, 2024), study why, and what beat and tonality add. Here
tracks are only chosen by both; they are not stretched, transposed or aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..config import Settings
from .tempo_key import TempoKey
from .tracks import Track

# Unit of distance: a step on the circle of fifths counts as much as 7 % of tempo.
_STEPS_OF_AN_OCTAVE = 10
# The stem without a key.
_DRUMS = "drums"
# Tolerance of tempo differences in octaves, for rounding.
_ROUNDING = 1e-9


class MatchConfig(Settings):
    """Which songs may be mixed with each other; by default, any.

    Every track is compared with the track of the vocals, as they are on disk, and is never paired
    with itself. An unknown tempo or key, such as the tempo of a voice alone, matches everything. If
    no track matches, the nearest ones are used.
    """

    tempo: float | None = Field(default=None, ge=0, lt=0.4)
    """Largest relative difference of tempo; half and double tempo count as equal. Default: any."""
    key: Literal["same", "relative"] | None = None
    """``same``: equal tonic and mode; ``relative``: the relative major or minor matches too.
    Default: any."""

    @property
    def on(self) -> bool:
        """Whether tempo or key has to match."""
        return self.tempo is not None or self.key is not None


@dataclass(frozen=True)
class Wanted:
    """What a track wants of its partners."""

    config: MatchConfig
    track: Track
    """The track, which is its own partner only if there is no other."""
    tempo_key: TempoKey
    """Tempo and key to match."""

    @classmethod
    def by(cls, track: Track, config: MatchConfig) -> Wanted | None:
        """Return what a track wants of its partners; None if any will do."""
        return cls(config, track, track.tempo_key) if config.on else None

    def beside(self, partner: Track) -> Wanted:
        """Return what further partners should match, beside a first one."""
        return replace(self, tempo_key=self.tempo_key.filled_in(partner.tempo_key))

    def of(self, stem: str) -> Wanted:
        """Return what a single stem should match; drums match every key."""
        return (
            replace(self, tempo_key=TempoKey(tempo=self.tempo_key.tempo))
            if stem == _DRUMS
            else self
        )


class Repertoire:
    """Tempo and key of tracks in arrays, since all are compared for each draw."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self._tracks = tracks
        known = [track.tempo_key for track in tracks]
        self._tempo = np.log2([m.tempo or np.nan for m in known])
        self._signature = np.array([m.key.signature if m.key else np.nan for m in known])
        self._minor = np.array([m.key.minor if m.key else np.nan for m in known])

    def distances(self, wanted: Wanted) -> NDArray[np.float64]:
        """Return the distance of each track from ``wanted``; 0: it matches."""
        distances = np.zeros(len(self._tracks))
        if wanted.config.tempo is not None and wanted.tempo_key.tempo:
            away = np.abs(self._tempo - np.log2(wanted.tempo_key.tempo)) % 1
            away = np.minimum(away, 1 - away) - np.log2(1 + wanted.config.tempo)
            distances += _STEPS_OF_AN_OCTAVE * np.nan_to_num(np.where(away > _ROUNDING, away, 0))
        if wanted.config.key and (key := wanted.tempo_key.key):
            steps = np.abs(self._signature - key.signature)
            steps = np.minimum(steps, 12 - steps)
            steps += (self._minor != key.minor) & (wanted.config.key == "same")
            distances += np.nan_to_num(steps)
        # Equal, not identical: one folder may be used as two corpora.
        name = wanted.track.name
        own = [track.name == name and track == wanted.track for track in self._tracks]
        distances[own] = np.inf
        return distances
