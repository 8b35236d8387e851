"""Scores as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from ..evaluation import Report, StemComparison
    from ..evaluation.aggregate import Aggregate

_HEADINGS = {
    "median": "median over\nframes, tracks",
    "mean": "mean\nover tracks",
    "weighted": "mean, weighted\nby length",
}


def score_table(report: Report) -> Table:
    """Return a row for every stem and system, a column for every metric."""
    from ..evaluation import METRICS

    minutes = sum(report.tracks.values()) / 60
    table = Table(
        title=f"{report.system} on {report.dataset}: {len(report.tracks)} tracks, "
        f"{minutes:.1f} minutes; dB, with 95 % intervals over tracks",
    )
    table.add_column("stem")
    table.add_column("system")
    for name in report.metrics:
        metric = METRICS[name]
        table.add_column(f"{metric.label}\n{_HEADINGS[metric.aggregation]}", justify="right")
    for stem in report.stems:
        for system in report.systems:
            cells = [_cell(report.aggregate(stem, m, None, system)) for m in report.metrics]
            table.add_row(stem, system, *cells, style="bold" if system == report.system else "")
        table.add_section()
    return table


def comparison_table(first: Report, second: Report, rows: Sequence[StemComparison]) -> Table:
    """Return a row for every stem and metric of two reports."""
    from ..evaluation import METRICS

    table = Table(title=f"{first.system} (A) and {second.system} (B), paired by track; dB")
    for heading in ("stem", "metric", "A", "B", "A - B", "95 % interval", "A better", "p"):
        table.add_column(heading, justify="left" if heading in ("stem", "metric") else "right")
    for row in rows:
        found, gap = row.paired, row.paired.difference
        table.add_row(
            row.stem,
            f"{METRICS[row.metric].label}, {row.aggregation}",
            _number(row.first),
            _number(row.second),
            f"{gap.value:+.2f}",
            f"{_number(gap.low)} to {_number(gap.high)}",
            f"{found.better} of {gap.tracks}",
            f"{found.p_value:.3g}",
        )
    return table


def _cell(total: Aggregate) -> str:
    if not total.tracks:
        return "-"
    value = _number(total.value)
    return value if math.isnan(total.low) else f"{value}\n{total.low:.1f} to {total.high:.1f}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
