"""Many scores to one: by name, with an interval, and two systems against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

#: What each aggregation over tracks is, by name.
AGGREGATIONS = {
    "median": "median over tracks, of medians over frames (SiSEC 2018)",
    "mean": "mean over tracks (Music Demixing Challenge 2021)",
    "weighted": "mean over tracks, weighted by their duration (GNSDR, GSIR, GSAR)",
}
# Resamplings of the tracks that an interval is taken from.
_RESAMPLINGS = 10_000


@dataclass(frozen=True)
class Aggregate:
    """One figure for many tracks; not a number where none is defined."""

    value: float
    low: float
    """Lower end of the 95 % interval, from bootstrapping tracks; NaN for less than two."""
    high: float
    """Upper end."""
    tracks: int
    """How many tracks count: those whose value is finite."""


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same tracks; differences are the first's value less the second's."""

    difference: Aggregate
    better: int
    """Tracks where the first is above the second."""
    worse: int
    """Tracks where it is below."""
    p_value: float
    """Of Wilcoxon's signed-rank test, two-sided; NaN where no track is in both."""


def over_frames(frames: Sequence[float] | Values) -> float:
    """Return a track's value: the median over its frames that are finite, as museval has it."""
    values = np.asarray(frames, np.float64)
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def aggregate(
    values: Sequence[float] | Values,
    how: str,
    *,
    seconds: Sequence[float] | Values | None = None,
    seed: int = 0,
) -> Aggregate:
    """Return one figure for the values of many tracks; those that are not finite do not count.

    Args:
        values: of a track each; of frames, see :func:`over_frames`.
        how: a name in :data:`AGGREGATIONS`.
        seconds: durations of the tracks, which ``weighted`` needs.
        seed: of the bootstrap.

    Raises:
        ValueError: for an unknown name, or if durations are missing or not as many.
    """
    if how not in AGGREGATIONS:
        raise ValueError(f"no aggregation {how!r}; there are {', '.join(AGGREGATIONS)}")
    if how == "weighted" and seconds is None:
        raise ValueError("a weighted mean needs the duration of every track")
    every = np.asarray(values, np.float64)
    weights = np.ones_like(every) if seconds is None else np.asarray(seconds, np.float64)
    if weights.shape != every.shape:
        raise ValueError(f"got {weights.size} durations for {every.size} values")
    counts = np.isfinite(every)
    every, weights = every[counts], weights[counts]
    if not every.size:
        return Aggregate(np.nan, np.nan, np.nan, 0)
    value = float(_over_tracks(every[None], weights[None], how)[0])
    if every.size == 1:
        return Aggregate(value, np.nan, np.nan, 1)
    random = np.random.default_rng(seed)
    found = []
    for _ in range(10):  # in parts, so that a thousand tracks take little memory
        drawn = random.integers(every.size, size=(_RESAMPLINGS // 10, every.size))
        found.append(_over_tracks(every[drawn], weights[drawn], how))
    low, high = np.percentile(np.concatenate(found), [2.5, 97.5])
    return Aggregate(value, float(low), float(high), int(every.size))


def compare(
    first: Mapping[str, float],
    second: Mapping[str, float],
    how: str = "median",
    *,
    seconds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two systems track by track, on those that both have a finite value for.

    Args:
        first: values by track.
        second: likewise.
        how: of the differences, a name in :data:`AGGREGATIONS`.
        seconds: durations by track, which ``weighted`` needs.
        seed: of the bootstrap.
    """
    tracks = [track for track in first if track in second]
    both = np.array([[first[track], second[track]] for track in tracks]).reshape(-1, 2)
    finite = np.isfinite(both).all(1)
    differences = (both[:, 0] - both[:, 1])[finite]
    durations = None
    if seconds is not None:
        durations = np.array([seconds[track] for track in tracks])[finite]
    p_value = np.nan
    if differences.size:
        moved = differences.any()
        p_value = float(stats.wilcoxon(differences).pvalue) if moved else 1.0
    return Comparison(
        difference=aggregate(differences, how, seconds=durations, seed=seed),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
        p_value=p_value,
    )


def _over_tracks(values: Values, weights: Values, how: str) -> Values:
    """Return one value for each row ``[R, tracks]``."""
    if how == "median":
        return np.asarray(np.median(values, axis=1), np.float64)
    if how == "mean":
        return np.asarray(values.mean(1), np.float64)
    return np.asarray((values * weights).sum(1) / weights.sum(1), np.float64)
