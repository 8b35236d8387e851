"""Compare two systems by paired differences, track by track."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from ...errors import UnmixError
from ..measures import METRICS
from .aggregate import Aggregate, aggregate
from .scores import Report

# Decoders may differ by that much in the length of a track.
_SAME_SECONDS = 0.01
# Groups whose figures depend on all stems that the estimates were compared with.
_OF_ALL_STEMS = {"bss", "singing"}


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same tracks."""

    difference: Aggregate
    """Value of the first system minus that of the second."""
    better: int
    """Tracks on which the first is better."""
    worse: int
    """Tracks on which the second is better."""
    p_value: float
    """P-value of Wilcoxon's two-sided signed-rank test; NaN if they share no track."""


@dataclass(frozen=True)
class StemComparison:
    """One metric of one stem by two systems, on the tracks that both have."""

    stem: str
    metric: str
    aggregation: str
    first: float
    """Aggregate of the first system on those tracks, in dB."""
    second: float
    """Aggregate of the second system on those tracks, in dB."""
    paired: Comparison


def compare(
    first: Mapping[str, float],
    second: Mapping[str, float],
    how: str = "median",
    *,
    seconds: Mapping[str, float] | None = None,
    less_is_better: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare two systems on the tracks for which both have a finite value.

    Args:
        first: values by track.
        second: values by track.
        how: aggregation of the differences, a name in ``AGGREGATIONS``.
        seconds: durations by track, which ``weighted`` needs.
        less_is_better: lower values are better.
        seed: seed of the bootstrap.
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


def compare_reports(first: Report, second: Report) -> list[StemComparison]:
    """Compare the systems of two reports; tracks are paired by name.

    Raises:
        UnmixError: the reports share no score, or differ in data or settings.
    """
    _check(first, second)
    rows = []
    for stem in (stem for stem in first.stems if stem in second.stems):
        for metric in (metric for metric in first.metrics if metric in second.metrics):
            row = _row(first, second, stem, metric)
            if row.paired.difference.tracks:
                rows.append(row)
    if not rows:
        raise UnmixError(
            f"the reports on {first.dataset} and {second.dataset} have no score in common"
        )
    return rows


def comparison_as_dict(rows: list[StemComparison]) -> list[dict[str, Any]]:
    """Return plain values for JSON, with null for NaN and infinity."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(held) for name, held in value.items()}
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return [plain(asdict(row)) for row in rows]


def _check(first: Report, second: Report) -> None:
    """Refuse reports that differ in more than their systems."""
    for name in ("window", "hop", "framewise", "sample_rate", "audio_channels"):
        ours, theirs = first.settings.get(name), second.settings.get(name)
        if ours != theirs:
            raise UnmixError(
                f"{first.system} and {second.system} were scored with different settings: {name} "
                f"is {ours} and {theirs}; score both with the same"
            )
    for track, seconds in first.tracks.items():
        other = second.tracks.get(track, seconds)
        if abs(seconds - other) > _SAME_SECONDS:
            raise UnmixError(
                f"{first.system} and {second.system} were scored on different data: {track} lasts "
                f"{seconds:.2f} s and {other:.2f} s"
            )
    common = [METRICS[name].group for name in first.metrics if name in second.metrics]
    ours, theirs = first.settings.get("stems"), second.settings.get("stems")
    if ours is None or theirs is None or not set(common) & _OF_ALL_STEMS:
        return  # reports of older versions do not say
    if set(ours) != set(theirs):
        raise UnmixError(
            f"{first.system} and {second.system} were scored against different stems, on which "
            f"SIR and SAR depend: {', '.join(ours)}, and {', '.join(theirs)}; score both with the "
            "same --stems"
        )


def _row(first: Report, second: Report, stem: str, metric: str) -> StemComparison:
    how = METRICS[metric].aggregation
    less_is_better = METRICS[metric].less_is_better
    ours, theirs = first.values(stem, metric), second.values(stem, metric)
    paired = compare(ours, theirs, how, seconds=first.tracks, less_is_better=less_is_better)
    both = [t for t in ours if np.isfinite(ours[t]) and np.isfinite(theirs.get(t, np.nan))]
    seconds = [first.tracks[track] for track in both]
    totals = [
        aggregate([values[track] for track in both], how, seconds=seconds, interval=False).value
        for values in (ours, theirs)
    ]
    return StemComparison(stem, metric, how, totals[0], totals[1], paired)
