"""python tools/scores.py --data DATA --model NAME: the score table of a model, split by split.

DATA is the folder that recipes are relative to. Every figure is measured anew, and has the interval
that 95 % of bootstrapped sets of tracks fall into.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unmix.errors import UnmixError
from unmix.evaluation import Dataset, Report, evaluate, open_dataset
from unmix.weights.manifest import DEFAULT, Score


@dataclass(frozen=True)
class Split:
    """Tracks of a data set that the default model's recipes leave out."""

    dataset: str
    split: str
    folder: str
    """In the data folder."""
    tracks: tuple[str, ...] = ()
    """Patterns of names, where only a part of the folder is meant."""
    sample_rate: int | None = None
    """Hz that all is scored at: those of the recordings, where the files have more."""

    def open(self, data: Path) -> Dataset:
        """Return its tracks in a data folder.

        Raises:
            UnmixError: where they are not there.
        """
        dataset = open_dataset(f"folder:{data / self.folder}").only(self.tracks)
        return replace(dataset, sample_rate=self.sample_rate) if self.sample_rate else dataset


#: By the names that ``--split`` takes.
SPLITS = {
    "musdb18-7/dev": Split("MUSDB18-7", "dev", "musdb18-7/dev"),
    "musdb18-7/test": Split("MUSDB18-7", "test", "musdb18-7/test"),
    "mir1k/dev": Split("MIR-1K", "dev", "mir1k", ("annar_*", "bobon_*"), 16000),
    "mir1k/test": Split("MIR-1K", "test", "mir1k", ("leon_*", "geniusturtle_*"), 16000),
}
#: At which released models are scored.
QUALITY = "balanced"
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
    parser.add_argument("--split", nargs="+", choices=SPLITS, default=[*SPLITS])
    parser.add_argument("--quality", default=QUALITY)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    splits = [SPLITS[name] for name in options.split]
    try:
        reports = measure(options.model, options.data, splits, options.quality, options.device)
    except UnmixError as error:
        raise SystemExit(f"error: {error}") from None
    title = f"{options.model}, quality {options.quality}, dB"
    Console().print(_table(title, scores_of(reports)))


def measure(
    model: str | Path,
    data: Path,
    splits: Sequence[Split],
    quality: str = QUALITY,
    device: str = "auto",
) -> dict[Split, Report]:
    """Return the scores of a model on each split.

    Raises:
        UnmixError: where the model or one of the splits is not there; nothing is scored then.
    """
    opened = {split: split.open(data) for split in splits}
    settings = {"metrics": ("bss", "sdr"), "baselines": (), "quality": quality, "device": device}
    return {split: evaluate(model, data=held, **settings) for split, held in opened.items()}


def scores_of(reports: Mapping[Split, Report]) -> list[Score]:
    """Return what reports come to, as the manifest holds it."""
    totals = [
        (split, stem, metric, aggregation, report.aggregate(stem, name))
        for split, report in reports.items()
        for stem in report.stems
        for metric, aggregation, name in FIGURES
    ]
    return [
        Score(
            dataset=split.dataset,
            split=split.split,
            stem=stem,
            metric=metric,
            aggregation=aggregation,
            value=round(total.value, 3),
            low=_end(total.low),
            high=_end(total.high),
        )
        for split, stem, metric, aggregation, total in totals
    ]


def _end(value: float) -> float | None:
    """Return an end of an interval; of a single track there is none."""
    return None if math.isnan(value) else round(value, 3)


def _table(title: str, scores: Iterable[Score]) -> Table:
    table = Table(title=title)
    for heading in ("data set", "split", "stem", "metric", "aggregation"):
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
