"""python tools/scores.py --data DATA --model NAME: the score table of a model, source by source.

DATA is the folder that recipes are relative to. Every figure is measured anew, and has the interval
that 95 % of bootstrapped sets of tracks fall into.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unmix.errors import UnmixError
from unmix.evaluation import Report, evaluate, open_dataset
from unmix.manifest import DEFAULT, Score


@dataclass(frozen=True)
class Source:
    """A split of a source that the default model's recipes leave out."""

    dataset: str
    split: str
    folder: str
    """In the data folder."""
    tracks: tuple[str, ...] = ()
    """Patterns of names, where only a part of the folder is meant."""
    sample_rate: int | None = None
    """Hz that all is scored at: what the source was recorded with, where its files have more."""


#: By the names that ``--source`` takes.
SOURCES = {
    "musdb18-7/dev": Source("MUSDB18-7", "dev", "musdb18-7/dev"),
    "musdb18-7/test": Source("MUSDB18-7", "test", "musdb18-7/test"),
    "mir1k/dev": Source("MIR-1K", "dev", "mir1k", ("annar_*", "bobon_*"), 16000),
    "mir1k/test": Source("MIR-1K", "test", "mir1k", ("leon_*", "geniusturtle_*"), 16000),
}
#: Name and aggregation of a figure, and what a report calls it.
FIGURES = (
    ("SDR (museval, 1 s frames)", "median over frames, median over tracks", "bss_sdr"),
    ("SDR (whole track)", "mean over tracks", "sdr"),
)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--source", nargs="+", choices=SOURCES, default=[*SOURCES])
    parser.add_argument("--quality", default="balanced")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    rows: list[Score] = []
    try:
        for name in options.source:
            source = SOURCES[name]
            report = measure(options.model, options.data, source, options.quality, options.device)
            rows += scores_of(source, report)
    except UnmixError as error:
        raise SystemExit(f"error: {error}") from None
    Console().print(_table(f"{options.model}, quality {options.quality}, dB", rows))


def measure(
    model: str | Path, data: Path, source: Source, quality: str = "balanced", device: str = "auto"
) -> Report:
    """Return the scores of a model on a source.

    Raises:
        UnmixError: where model or source are not there.
    """
    dataset = open_dataset(f"folder:{data / source.folder}").only(source.tracks)
    if source.sample_rate:
        dataset = replace(dataset, sample_rate=source.sample_rate)
    return evaluate(
        model,
        data=dataset,
        metrics=("bss", "sdr"),
        baselines=(),
        quality=quality,
        device=device,
    )


def scores_of(source: Source, report: Report) -> list[Score]:
    """Return what a report comes to, as the manifest holds it."""
    totals = [
        (stem, metric, aggregation, report.aggregate(stem, name))
        for stem in report.stems
        for metric, aggregation, name in FIGURES
    ]
    return [
        Score(
            dataset=source.dataset,
            split=source.split,
            stem=stem,
            metric=metric,
            aggregation=aggregation,
            value=round(total.value, 3),
            low=_end(total.low),
            high=_end(total.high),
        )
        for stem, metric, aggregation, total in totals
    ]


def _end(value: float) -> float | None:
    """Return an end of an interval; of a single track there is none."""
    return None if math.isnan(value) else round(value, 3)


def _table(title: str, scores: Iterable[Score]) -> Table:
    table = Table(title=title)
    for heading in ("source", "split", "stem", "metric", "aggregation"):
        table.add_column(heading)
    for heading in ("score", "95 % interval"):
        table.add_column(heading, justify="right")
    for score in scores:
        interval = "" if score.low is None else f"{score.low:.2f} to {score.high:.2f}"
        words = (score.dataset, score.split, score.stem, score.metric, score.aggregation)
        table.add_row(*words, f"{score.value:.2f}", interval)
    return table


if __name__ == "__main__":
    main()
