"""The report as one HTML file with tables, pictures and sounds inside."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from ..._version import __version__
from ...songs.plot import hertz
from ...storage import writing, written_whole
from ..measures import METRICS, PERFECT, Metric
from .aggregate import AGGREGATIONS
from .boxplots import WIDTH, box_plot
from .excerpts import Excerpt
from .scores import Report
from .sounds import MEDIA_TYPE, common_gain, encode, sounds
from .spectrograms import FLOOR, frequency_range, palette, spectrograms

_DASH = "–"
_OCTAVES = [62.5 * 2.0**octave for octave in range(12)]  # Hz, where there are ticks
_SHORT = {"median": "median over tracks", "mean": "mean", "weighted": "mean weighted by duration"}


@dataclass(frozen=True)
class _Table:
    """Values by track, for one stem."""

    title: str
    columns: tuple[tuple[str, str], ...]
    """Header and explanation of each."""
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """A track, and for every column its value and "best", "worst" or nothing."""


@dataclass(frozen=True)
class _Tick:
    """A label beside a picture, and its position in percent."""

    at: float
    label: str


@dataclass(frozen=True)
class _Sound:
    """One sound of an example, as data URIs."""

    name: str
    picture: str
    audio: str


@dataclass(frozen=True)
class _Shown:
    """An example as the page shows it."""

    track: str
    stem: str
    start: str
    end: str
    gain: float
    channels: int
    scores: tuple[tuple[Metric, str], ...]
    times: tuple[_Tick, ...]
    frequencies: tuple[_Tick, ...]
    sounds: tuple[_Sound, ...]


def write_page(report: Report, examples: Sequence[Excerpt], path: Path) -> None:
    """Write a report as one self-contained HTML file.

    It loads nothing from elsewhere and runs only its own script. The same report gives the same
    bytes.

    Args:
        report: the scores.
        examples: excerpts to see and hear, in this order, with estimates of the report's system.
        path: the file; replaced if it exists.

    Raises:
        AudioError: the file cannot be written, or an example cannot be encoded.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        decibels=_decibels, clock=_clock, tick=_tick, aggregation=_aggregation, plain=_plain
    )
    script = _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = environment.from_string(_resource("page.html")).render(
        report=report,
        seconds=sum(report.tracks.values()),
        metrics={name: METRICS[name] for name in report.metrics},
        aggregations=AGGREGATIONS,
        tables={stem: tuple(_tables(report, stem)) for stem in report.stems},
        box_plot=box_plot,
        box_width=WIDTH,
        examples=[_shown(report, example) for example in examples],
        floor=FLOOR,
        colours=["#" + bytes(colour).hex() for colour in palette()[::-1]],
        version=__version__,
        style=Markup(_resource("page.css")),
        script=Markup(script),
        digest=digest,
    )
    with writing(path), written_whole(path) as staged:
        staged.write_text(text, encoding="utf-8", newline="\n")


def _resource(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _tables(report: Report, stem: str) -> Iterator[_Table]:
    """Yield a table of all metrics of the report's system, then one of all systems per metric."""
    columns = {
        name: (METRICS[name].label, METRICS[name].about, report.values(stem, name))
        for name in report.metrics
    }
    lesser = {name for name in report.metrics if METRICS[name].less_is_better}
    yield _table(report, f"{report.system}: every metric", columns, lesser)
    if len(report.systems) < 2:
        return
    for metric in report.metrics:
        about = METRICS[metric].about
        columns = {
            system: (system, about, report.values(stem, metric, system))
            for system in report.systems
        }
        lesser = set(report.systems) if METRICS[metric].less_is_better else set()
        yield _table(report, f"{METRICS[metric].label}: every system", columns, lesser)


def _table(
    report: Report,
    title: str,
    columns: Mapping[str, tuple[str, str, Mapping[str, float]]],
    lesser: set[str],
) -> _Table:
    marks = {
        name: _extremes(values, less_is_better=name in lesser)
        for name, (_, _, values) in columns.items()
    }
    rows = tuple(
        (
            track,
            tuple(
                (_decibels(values.get(track, math.nan)), marks[name].get(track, ""))
                for name, (_, _, values) in columns.items()
            ),
        )
        for track in report.tracks
        if any(track in values for _, _, values in columns.values())
    )
    return _Table(title, tuple((label, about) for label, about, _ in columns.values()), rows)


def _extremes(values: Mapping[str, float], *, less_is_better: bool) -> dict[str, str]:
    """Return the tracks with the best and the worst value, if there are three or more."""
    defined = {track: value for track, value in values.items() if not math.isnan(value)}
    if len(defined) < 3 or len(set(defined.values())) == 1:
        return {}
    lowest, highest = min(defined, key=defined.__getitem__), max(defined, key=defined.__getitem__)
    best, worst = (lowest, highest) if less_is_better else (highest, lowest)
    return {best: "best", worst: "worst"}


def _shown(report: Report, example: Excerpt) -> _Shown:
    found = sounds(example)
    gain = common_gain(found)
    pictures = spectrograms(found, example.sample_rate)
    seconds = example.mixture.shape[-1] / example.sample_rate
    start, end = example.start, example.start + seconds
    marks = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(start, end)
    low, high = frequency_range(example.sample_rate)
    return _Shown(
        track=example.track,
        stem=example.stem,
        start=_clock(start),
        end=_clock(end),
        gain=gain,
        channels=len(example.mixture),
        scores=tuple(
            (METRICS[metric], _decibels(values[example.track]))
            for metric in report.metrics
            if example.track in (values := report.values(example.stem, metric))
        ),
        times=tuple(
            _Tick(round(100 * (mark - start) / seconds, 2), _clock(float(mark)))
            for mark in marks
            if start <= mark <= end
        ),
        frequencies=tuple(
            _Tick(round(100 * math.log(mark / low) / math.log(high / low), 2), hertz(mark))
            for mark in _OCTAVES
            if low <= mark <= high
        ),
        sounds=tuple(
            _Sound(
                name,
                _data("image/png", pictures[name]),
                _data(MEDIA_TYPE, encode(samples, example.sample_rate, gain)),
            )
            for name, samples in found.items()
        ),
    )


def _data(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _decibels(value: float) -> str:
    if math.isnan(value):
        return _DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value > PERFECT:
        return f">{PERFECT:.0f}"
    text = f"{value:.2f}".replace("-", "−")
    return "0.00" if text == "−0.00" else text


def _clock(seconds: float) -> str:
    """Return minutes and seconds, with tenths if there are any."""
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    text = f"{minutes}:{rest // 10:02d}"
    return f"{text}.{rest % 10}" if rest % 10 else text


def _tick(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _aggregation(metric: Metric) -> str:
    """Return in a few words how the metric is aggregated over tracks."""
    medians = metric.aggregation == "median" and metric.framewise
    return "median of medians" if medians else _SHORT[metric.aggregation]


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
