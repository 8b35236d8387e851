"""Many scores to one: by name, with an interval, and two systems against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
# Resamplings of the tracks that an interval is taken from.
_RESAMPLINGS = 10_000
# They are worked on in parts, so that a thousand tracks take little memory.
_PARTS = 10


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
    """Tracks where the first is the better one."""
    worse: int
    """Tracks where the second is."""
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
    if how == "median":
        value = float(np.median(every))
    elif how == "mean":
        value = float(every.mean())
    else:
        value = float((every * weights).sum() / weights.sum())
    if every.size == 1:
        return Aggregate(value, np.nan, np.nan, 1)
    low, high = np.percentile(_resampled(every, weights, how, seed), [2.5, 97.5])
    return Aggregate(value, float(low), float(high), int(every.size))


def compare(
    first: Mapping[str, float],
    second: Mapping[str, float],
    how: str = "median",
    *,
    seconds: Mapping[str, float] | None = None,
    less_is_better: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare two systems track by track, on those that both have a finite value for.

    Args:
        first: values by track.
        second: likewise.
        how: of the differences, a name in :data:`AGGREGATIONS`.
        seconds: durations by track, which ``weighted`` needs.
        less_is_better: whether the system with the lower value is the better one.
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
    above, below = int((differences > 0).sum()), int((differences < 0).sum())
    return Comparison(
        difference=aggregate(differences, how, seconds=durations, seed=seed),
        better=below if less_is_better else above,
        worse=above if less_is_better else below,
        p_value=p_value,
    )


def _resampled(values: Values, weights: Values, how: str, seed: int) -> Values:
    """Return the figure of every resampling ``[R]``."""
    if how == "median":
        return _medians(values, seed)
    if how == "mean":
        return _sums(values, seed) / values.size
    return _sums(values * weights, seed) / _weight_sums(weights.tobytes(), seed)


def _medians(values: Values, seed: int) -> Values:
    """Return the median of every resampling ``[R]``.

    Nothing is sorted but the values, once: on the way up through them, the median is where half
    of the draws have been passed.
    """
    counts, order = _counts(values.size, seed), np.argsort(values)
    lower_half, upper_half = (values.size + 1) // 2, values.size // 2 + 1
    passed = np.zeros(_RESAMPLINGS, np.int32)
    lower, upper = np.zeros((2, _RESAMPLINGS), np.int32)
    for rank, track in enumerate(order, 1):
        passed += counts[track]
        if passed.max() < lower_half:  # as for nearly half of the tracks
            lower[:] = upper[:] = rank
            continue
        lower[passed < lower_half] = rank
        upper[passed < upper_half] = rank
        if passed.min() >= upper_half:
            break
    ranked = values[order]
    return np.asarray((ranked[lower] + ranked[upper]) / 2, np.float64)


def _sums(values: Values, seed: int) -> Values:
    """Return the sum of every resampling ``[R]``."""
    parts = np.split(_draws(values.size, seed), _PARTS)
    return np.concatenate([values[drawn].sum(1) for drawn in parts])


@lru_cache(maxsize=2)
def _weight_sums(weights: bytes, seed: int) -> Values:
    return _sums(np.frombuffer(weights, np.float64), seed)


# Two are kept: of all tracks, and of those where a metric is finite. For a thousand tracks, each
# takes 20 MB here and 10 MB below.
@lru_cache(maxsize=2)
def _draws(tracks: int, seed: int) -> NDArray[Any]:
    """Return which tracks each resampling has ``[R, tracks]``."""
    random = np.random.default_rng(seed)
    kind = np.uint16 if tracks < 1 << 16 else np.uint32
    size = (_RESAMPLINGS // _PARTS, tracks)
    return np.concatenate([random.integers(tracks, size=size).astype(kind) for _ in range(_PARTS)])


@lru_cache(maxsize=2)
def _counts(tracks: int, seed: int) -> NDArray[np.uint8]:
    """Return how often each track is in each resampling ``[tracks, R]``."""
    found = []
    for drawn in np.split(_draws(tracks, seed), _PARTS):
        places = drawn + tracks * np.arange(len(drawn))[:, None]
        counts = np.bincount(places.ravel(), minlength=len(drawn) * tracks)
        found.append(counts.reshape(len(drawn), tracks).astype(np.uint8).T)
    return np.concatenate(found, axis=1)
