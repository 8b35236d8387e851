"""python -m tools.release.scores --data DATA --model NAME: measure a model on every split.

DATA is the folder that the recipes' paths are relative to. Intervals are 95 % bootstrap intervals
over tracks. With ``--write`` the scores replace those of a released model in the manifest, its card
and ``pretrained/README.md``; its weights, and scores by other metrics, stay as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unmix.errors import UnmixError
from unmix.separation.separator import QUALITIES
from unmix.weights import DEFAULT
from unmix.weights.manifest import ModelEntry, Score, find_model

from . import manifest
from .card import with_scores
from .splits import QUALITY, SPLITS, measure, scores_of


def main() -> None:
    """Measure, then print a table or write the scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument("--model", default=DEFAULT, help="name or path of a model")
    parser.add_argument("--split", nargs="+", choices=SPLITS, default=[*SPLITS])
    parser.add_argument("--quality", choices=QUALITIES, default=QUALITY)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", action="store_true", help="update a released model's scores")
    options = parser.parse_args()
    if options.write and (options.split != [*SPLITS] or options.quality != QUALITY):
        parser.error(f"--write scores every split at quality {QUALITY}")
    try:
        if options.write:
            rescore(find_model(options.model), options.data, options.device)
            return
        splits = [SPLITS[name] for name in options.split]
        reports = measure(options.model, options.data, splits, options.quality, options.device)
    except UnmixError as error:
        raise SystemExit(f"error: {error}") from None
    title = f"{options.model}, quality {options.quality}, dB"
    Console().print(_table(title, scores_of(reports)))


def rescore(entry: ModelEntry, data: Path, device: str = "auto") -> None:
    """Measure a released model on every split, and write its scores.

    Raises:
        UnmixError: if a split is missing, or the card has no place for scores.
    """
    folder = manifest.PRETRAINED / entry.name
    card = folder / "card.md"
    before = card.read_text(encoding="utf-8")
    with_scores(before, entry, {})  # fails now, not after hours of measuring
    reports = measure(folder, data, [*SPLITS.values()], device=device)
    scores = scores_of(reports)
    measured = {score.metric for score in scores}
    others = (score for score in entry.scores if score.metric not in measured)
    changed = entry.model_copy(update={"scores": (*scores, *others)})
    after = with_scores(before, changed, reports)
    manifest.write_manifest(changed)
    card.write_text(after, encoding="utf-8")


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
