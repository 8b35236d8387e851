"""Two reports against each other: paired differences, track by track."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import UnmixError
from .aggregate import Comparison, compare
from .measures import METRICS
from .report import Report


@dataclass(frozen=True)
class StemComparison:
    """One metric of one stem by two systems, on the tracks that both have."""

    stem: str
    metric: str
    aggregation: str
    first: float
    """What the first system comes to on those tracks, in dB."""
    second: float
    paired: Comparison
    """First less second."""


def compare_reports(first: Report, second: Report) -> list[StemComparison]:
    """Compare the systems that two reports are about; tracks are paired by name.

    Raises:
        UnmixError: where they have no track, stem and metric in common, or their frames differ.
    """
    rows = []
    for name in ("window", "hop", "framewise"):
        if first.settings.get(name) != second.settings.get(name):
            raise UnmixError(
                f"{first.system} and {second.system} were scored with different settings: {name} "
                f"is {first.settings.get(name)} and {second.settings.get(name)}"
            )
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
    """Return plain values for JSON; what is not a number is null."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(held) for name, held in value.items()}
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return [plain(asdict(row)) for row in rows]


def _row(first: Report, second: Report, stem: str, metric: str) -> StemComparison:
    how = METRICS[metric].aggregation
    ours, theirs = first.values(stem, metric), second.values(stem, metric)
    paired = compare(ours, theirs, how, seconds=first.tracks)
    both = [t for t in ours if np.isfinite(ours[t]) and np.isfinite(theirs.get(t, np.nan))]
    only = [
        Report(
            report.system,
            report.dataset,
            tuple(s for s in report.scores if s.track in both and s.system == report.system),
        )
        for report in (first, second)
    ]
    values = [report.aggregate(stem, metric, how).value if both else np.nan for report in only]
    return StemComparison(stem, metric, how, values[0], values[1], paired)
