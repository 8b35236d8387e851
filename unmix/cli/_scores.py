"""Scores as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD, SQUARE
from rich.table import Table

if TYPE_CHECKING:
    from ..evaluation import Report, StemComparison
    from ..evaluation.report.aggregate import Aggregate

_EXPLAINED = {
    "median": "median over frames, then over tracks",
    "mean": "mean over tracks",
    "weighted": "mean over tracks, weighted by duration",
}
# Characters of a column with an interval, and of the names before the metrics.
_COLUMN, _NAMES = 15, 18


def score_table(report: Report, width: int) -> Table:
    """Return a table with a row for each stem and system, and a column for each metric.

    Args:
        report: the scores.
        width: characters of the terminal; without room, intervals are left out.
    """
    from ..evaluation import METRICS

    metrics = [METRICS[name] for name in report.metrics]
    intervals = width >= _NAMES + _COLUMN * len(metrics)
    minutes = sum(report.tracks.values()) / 60
    ways = dict.fromkeys(metric.aggregation for metric in metrics)
    kept = "" if intervals else "; for 95 % intervals use --json, --out or a wider terminal"
    table = Table(
        title=f"{report.system} on {report.dataset}: {_tracks(len(report.tracks))}, "
        f"{minutes:.1f} minutes, dB",
        box=SQUARE if intervals else SIMPLE_HEAD,
        padding=(0, 1) if intervals else (0, 1, 0, 0),
        caption="; ".join(f"{way}: {_EXPLAINED[way]}" for way in ways) + kept,
    )
    table.add_column("", no_wrap=True)
    for metric in metrics:
        heading = "\n".join([*metric.label.split(), metric.aggregation])
        table.add_column(heading, justify="right", no_wrap=True)
    for stem in report.stems:
        table.add_row(stem, style="italic")
        for system in report.systems:
            cells = [
                _cell(
                    report.aggregate(stem, name, None, system),
                    len(report.values(stem, name, system)),
                    interval=intervals,
                )
                for name in report.metrics
            ]
            table.add_row(system, *cells, style="bold" if system == report.system else "")
        table.add_section()
    return table


def comparison_table(first: Report, second: Report, rows: Sequence[StemComparison]) -> Table:
    """Return a table with a row for each stem and metric that two reports share."""
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


def _cell(total: Aggregate, every: int, *, interval: bool) -> str:
    """Return a figure, and the number of tracks it is of where that is not all."""
    if not every:
        return "-"
    lines = [_number(total.value)]
    if interval and not math.isnan(total.low) and not lines[0].startswith(">"):
        lines.append(f"{total.low:.1f} to {total.high:.1f}")
    if total.tracks < every:
        # Two lines where columns are narrow, so that all metrics fit 80 characters.
        lines.append(f"{total.tracks} of{' ' if interval else chr(10)}{every}")
    return "\n".join(lines)


def _tracks(count: int) -> str:
    return f"{count} track{'' if count == 1 else 's'}"


def _number(value: float) -> str:
    """Return a number, or ``>100`` for a ratio to rounding errors."""
    from ..evaluation.measures import PERFECT

    if math.isnan(value):
        return "-"
    return f">{PERFECT:.0f}" if value > PERFECT else f"{value:.2f}"
