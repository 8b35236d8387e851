"""Scores of tracks by one or several systems, and their aggregates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ..measures import BSS_FIGURES, METRICS
from .aggregate import Aggregate, aggregate

# JSON has no infinity.
_INFINITE = {math.inf: "inf", -math.inf: "-inf"}
_FINITE = {text: number for number, text in _INFINITE.items()}
#: What reading JSON of another shape raises.
INVALID = (ValueError, TypeError, AttributeError, LookupError)
_Plain = TypeVar("_Plain")


@dataclass(frozen=True)
class TrackScore:
    """One stem of one track, as one system estimated it."""

    system: str
    """Name of the model, or of the baseline."""
    track: str
    stem: str
    seconds: float
    values: Mapping[str, float]
    """Scores in dB by metric, a name in ``METRICS``: NaN if undefined, infinite if perfect."""
    frames: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Values of every frame, for metrics that are medians over frames."""

    def to_plain(self) -> dict[str, Any]:
        """Return plain values for JSON, exact to the bit: NaN is null, infinity is "inf"."""
        return {
            "system": self.system,
            "track": self.track,
            "stem": self.stem,
            "seconds": self.seconds,
            "values": {name: _exact(value) for name, value in self.values.items()},
            "frames": {name: [_exact(value) for value in row] for name, row in self.frames.items()},
        }

    @classmethod
    def from_plain(cls, row: Mapping[str, Any]) -> TrackScore:
        """Return a score from its plain values; raise one of ``INVALID`` for anything else."""
        frames = {name: tuple(map(_float, values)) for name, values in row["frames"].items()}
        if frames and len({len(frames[name]) for name in BSS_FIGURES}) != 1:
            raise ValueError("figures of different frames")
        return cls(
            system=typed(row["system"], str),
            track=typed(row["track"], str),
            stem=typed(row["stem"], str),
            seconds=_float(typed(row["seconds"], float, int)),
            values={name: _float(value) for name, value in row["values"].items()},
            frames=frames,
        )


@dataclass(frozen=True)
class Report:
    """All scores of a system on a data set, with those of baselines beside it."""

    system: str
    """Name of the system that was scored; all others in the report are baselines."""
    dataset: str
    scores: tuple[TrackScore, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How the scores were computed, as plain values for JSON."""

    @cached_property
    def systems(self) -> tuple[str, ...]:
        """The report's system, then the baselines."""
        names = [score.system for score in self.scores]
        return tuple(dict.fromkeys([self.system, *names])) if names else ()

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """Stems that were scored, in order."""
        return tuple(dict.fromkeys(score.stem for score in self.scores))

    @cached_property
    def tracks(self) -> dict[str, float]:
        """Seconds of every track by name, in order."""
        return {score.track: score.seconds for score in self.scores}

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that were computed, in the order of ``METRICS``."""
        found = {name for score in self.scores for name in score.values}
        return tuple(name for name in METRICS if name in found)

    def values(self, stem: str, metric: str, system: str | None = None) -> dict[str, float]:
        """Return one metric of one stem in dB, by track; only tracks that have it.

        Args:
            stem: one of ``stems``.
            metric: one of ``metrics``.
            system: one of ``systems``; default: the report's.
        """
        return dict(self._values.get((system or self.system, stem, metric), {}))

    def aggregate(
        self, stem: str, metric: str, how: str | None = None, system: str | None = None
    ) -> Aggregate:
        """Return one metric of one stem, aggregated over all tracks; see ``AGGREGATIONS``.

        Args:
            stem: one of ``stems``.
            metric: one of ``metrics``.
            how: name of the aggregation; default: the metric's usual one.
            system: one of ``systems``; default: the report's.
        """
        how = how or METRICS[metric].aggregation
        key = (system or self.system, stem, metric, how)
        if key not in self._aggregates:
            values = self.values(stem, metric, system)
            seconds = [self.tracks[track] for track in values]
            self._aggregates[key] = aggregate(np.array([*values.values()]), how, seconds=seconds)
        return self._aggregates[key]

    @cached_property
    def _values(self) -> dict[tuple[str, str, str], dict[str, float]]:
        """Values by track, by system, stem and metric."""
        found: dict[tuple[str, str, str], dict[str, float]] = {}
        for score in self.scores:
            for metric, value in score.values.items():
                of = found.setdefault((score.system, score.stem, metric), {})
                of[score.track] = value
        return found

    @cached_property
    def _aggregates(self) -> dict[tuple[str, str, str, str], Aggregate]:
        """Aggregates computed so far, by system, stem, metric and aggregation."""
        return {}


def typed(value: Any, kind: type[_Plain], *others: type) -> _Plain:
    """Return a value of JSON that must be of a kind; raise ``TypeError`` for any other."""
    if not isinstance(value, (kind, *others)) or isinstance(value, bool):
        raise TypeError(f"expected {kind.__name__}, got {value!r}")
    return value  # type: ignore[return-value]


def _exact(value: float) -> float | str | None:
    return None if math.isnan(value) else _INFINITE.get(value, value)


def _float(value: float | str | None) -> float:
    """Return what ``_exact`` was given."""
    if value is None:
        return math.nan
    return _FINITE[value] if isinstance(value, str) else float(typed(value, float, int))
