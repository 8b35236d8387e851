"""The geometry of box plots: one metric of one stem, a box for each system.

The page draws them as SVG, so that names may be in any script, dots name their tracks, and colours
follow the reader's light or dark scheme. Boxes are Tukey's, as matplotlib computes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.cbook import boxplot_stats
from matplotlib.ticker import MaxNLocator

from ..measures import METRICS, PERFECT
from .scores import Report

WIDTH = 380
"""Width of the drawing, in its own units."""
_MARGIN = 16  # room for half a tick's label
_ROW = 37  # from a system to the next one below
_TICKS = 7
# With more tracks, dots would hide each other: then only outliers have one.
_MOST_DOTS = 60


@dataclass(frozen=True)
class Dot:
    """A track's value."""

    track: str
    value: float


@dataclass(frozen=True)
class Box:
    """A system's values over tracks, in dB."""

    system: str
    top: int
    """Top of its row in the drawing."""
    tracks: int
    """How many values count."""
    left_out: int
    """How many are NaN, infinite or above ``PERFECT``."""
    low: float = math.nan
    """Lower whisker: the lowest value within 1.5 box lengths of the box."""
    lower: float = math.nan
    """Lower quartile."""
    median: float = math.nan
    upper: float = math.nan
    """Upper quartile."""
    high: float = math.nan
    """Upper whisker."""
    dots: tuple[Dot, ...] = ()
    """Every track, or only outliers where there are many tracks."""


@dataclass(frozen=True)
class BoxPlot:
    """The boxes of one metric of one stem, one below the other on one axis in dB."""

    stem: str
    metric: str
    boxes: tuple[Box, ...]
    """One for each system of the report, in order."""
    ticks: tuple[float, ...]

    @property
    def label(self) -> str:
        """Name of the metric in tables."""
        return METRICS[self.metric].label

    @property
    def bottom(self) -> int:
        """Bottom of the last row, where the axis is."""
        return _ROW * len(self.boxes)

    @property
    def description(self) -> str:
        """Text that replaces the picture for screen readers."""
        said = [
            f"{box.system} {box.median:.2f} dB ({box.lower:.2f} to {box.upper:.2f})"
            for box in self.boxes
            if box.tracks
        ]
        return f"{self.label} of {self.stem}, medians and quartiles: {'; '.join(said) or 'none'}"

    def x(self, value: float) -> float:
        """Return the horizontal position of a value in dB."""
        low, high = self.ticks[0], self.ticks[-1]
        return round(_MARGIN + (WIDTH - 2 * _MARGIN) * (value - low) / (high - low), 2)


def box_plot(report: Report, stem: str, metric: str) -> BoxPlot:
    """Return the box plot of one metric of one stem of a report."""
    found = {system: report.values(stem, metric, system) for system in report.systems}
    boxes = tuple(
        _box(system, _ROW * row, values) for row, (system, values) in enumerate(found.items())
    )
    every = [value for values in found.values() for value in values.values()]
    return BoxPlot(
        stem, metric, boxes, _ticks([v for v in every if math.isfinite(v) and v <= PERFECT])
    )


def _box(system: str, top: int, values: dict[str, float]) -> Box:
    finite = {t: v for t, v in values.items() if math.isfinite(v) and v <= PERFECT}
    left_out = len(values) - len(finite)
    if not finite:
        return Box(system, top, 0, left_out)
    (found,) = boxplot_stats(np.array([*finite.values()]))
    low, high = float(found["whislo"]), float(found["whishi"])
    dots = tuple(
        Dot(track, value)
        for track, value in finite.items()
        if len(finite) <= _MOST_DOTS or not low <= value <= high
    )
    return Box(
        system=system,
        top=top,
        tracks=len(finite),
        left_out=left_out,
        low=low,
        lower=float(found["q1"]),
        median=float(found["med"]),
        upper=float(found["q3"]),
        high=high,
        dots=dots,
    )


def _ticks(values: list[float]) -> tuple[float, ...]:
    """Return round values that enclose all others."""
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    if high - low < 1:  # an axis of rounding errors would suggest that they differ
        low, high = low - 0.5, high + 0.5
    found = MaxNLocator(nbins=_TICKS, steps=[1, 2, 5, 10]).tick_values(low, high)
    return tuple(float(tick) for tick in found)
