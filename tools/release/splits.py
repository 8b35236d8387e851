"""The splits that released models are scored on, and their scores as the manifest holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unmix.evaluation import Dataset, Report, evaluate, open_dataset
from unmix.weights.manifest import Score


@dataclass(frozen=True)
class Split:
    """Tracks that the default model's recipes leave out."""

    dataset: str
    split: str
    folder: str
    """Path in the data folder."""
    tracks: tuple[str, ...] = ()
    """Patterns of track names; empty: the whole folder."""
    sample_rate: int | None = None
    """Rate in Hz to score at, for recordings stored at a higher rate than they were made at."""

    def open(self, data: Path) -> Dataset:
        """Return the tracks of a data folder.

        Raises:
            UnmixError: if they are not there.
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
#: Quality that released models are scored at.
QUALITY = "balanced"
#: Metric, aggregation, and the metric's name in a report.
FIGURES = (
    ("SDR (museval, 1 s frames)", "median over frames, median over tracks", "bss_sdr"),
    ("SDR (whole track)", "mean over tracks", "sdr"),
)


def measure(
    model: str | Path,
    data: Path,
    splits: Sequence[Split],
    quality: str = QUALITY,
    device: str = "auto",
) -> dict[Split, Report]:
    """Score a model on each split.

    Raises:
        UnmixError: before anything is scored, if the model or a split is not there.
    """
    opened = {split: split.open(data) for split in splits}
    return {
        split: evaluate(
            model,
            data=dataset,
            metrics=("bss", "sdr"),
            baselines=(),
            quality=quality,
            device=device,
        )
        for split, dataset in opened.items()
    }


def scores_of(reports: Mapping[Split, Report]) -> list[Score]:
    """Return the scores of reports as entries of the manifest."""
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
    """Round an end of an interval; a single track has none."""
    return None if math.isnan(value) else round(value, 3)
