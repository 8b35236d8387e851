"""The scores of many tracks as one figure, with its confidence interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

#: What each aggregation over tracks is, by name.
AGGREGATIONS = {
    "median": "median over tracks",
    "mean": "mean over tracks (Music Demixing Challenge 2021)",
    "weighted": "mean over tracks, weighted by their duration (GNSDR, GSIR, GSAR)",
}
_RESAMPLES = 10_000
# Resamples in memory at once: those of a thousand tracks take some 20 MB.
_BATCH = 1000


@dataclass(frozen=True)
class Aggregate:
    """One figure for many tracks; NaN where none is defined."""

    value: float
    low: float
    """Lower end of the 95 % interval from bootstrapping tracks; NaN for fewer than two."""
    high: float
    """Upper end of the interval."""
    tracks: int
    """Number of tracks with a finite value; only these count."""


def aggregate(
    values: Sequence[float] | Values,
    how: str,
    *,
    seconds: Sequence[float] | Values | None = None,
    seed: int = 0,
    interval: bool = True,
) -> Aggregate:
    """Return one figure for the values of many tracks; values that are not finite do not count.

    Args:
        values: one for each track.
        how: a name in ``AGGREGATIONS``.
        seconds: durations of the tracks, which ``weighted`` needs.
        seed: seed of the bootstrap.
        interval: whether to compute the interval, which takes most of the time.

    Raises:
        ValueError: the name is unknown, or durations are missing or of another number.
    """
    if how not in AGGREGATIONS:
        raise ValueError(f"unknown aggregation {how!r}; choose from {', '.join(AGGREGATIONS)}")
    if how == "weighted" and seconds is None:
        raise ValueError("a weighted mean needs the duration of every track")
    every = np.asarray(values, np.float64)
    weights = np.ones_like(every) if seconds is None else np.asarray(seconds, np.float64)
    if weights.shape != every.shape:
        raise ValueError(f"got {weights.size} durations for {every.size} values")
    counts = np.isfinite(every)
    tracks = int(counts.sum())
    if not tracks:
        return Aggregate(np.nan, np.nan, np.nan, 0)
    data = (every[counts], weights[counts]) if how == "weighted" else (every[counts],)
    statistic = _STATISTICS[how]
    value = float(statistic(*data, axis=-1))
    if tracks == 1 or not interval:
        return Aggregate(value, np.nan, np.nan, tracks)
    found = stats.bootstrap(
        data,
        statistic,
        paired=how == "weighted",
        vectorized=True,
        method="percentile",
        n_resamples=_RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Aggregate(value, float(found.low), float(found.high), tracks)


def _weighted(values: Values, weights: Values, axis: int) -> Values:
    mean: Values = (values * weights).sum(axis) / weights.sum(axis)
    return mean


_STATISTICS: dict[str, Callable[..., Any]] = {
    "median": np.median,
    "mean": np.mean,
    "weighted": _weighted,
}
