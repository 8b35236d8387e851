"""python tools/rescore.py NAME --data DATA: measure a model of the package anew, where it stands.

Writes its scores into the manifest, the model's card and the README's table, after the way of
measuring has changed or a split has come. The weights stay as they are, and so do scores by other
measures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from unmix.errors import UnmixError
from unmix.weights.manifest import ModelEntry, find_model

from .card import with_scores
from .manifest import PRETRAINED, TABLE, models_rows, write_manifest
from .scores import SPLITS, measure, scores_of


def main() -> int:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name of a model of the package, or default")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that recipes' paths are relative to"
    )
    options = parser.parse_args()
    try:
        rescore(find_model(options.model), options.data)
    except UnmixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def rescore(entry: ModelEntry, data: Path) -> None:
    """Measure a model on every split, and write what has changed.

    Raises:
        UnmixError: where a split is not there, or the card has no place for scores.
    """
    folder = PRETRAINED / entry.name
    card = folder / "card.md"
    before = card.read_text(encoding="utf-8")
    with_scores(before, entry, {})  # or all would be measured in vain
    reports = measure(folder, data, [*SPLITS.values()])
    scores = scores_of(reports)
    measured = {score.metric for score in scores}
    others = (score for score in entry.scores if score.metric not in measured)
    changed = entry.model_copy(update={"scores": (*scores, *others)})
    after = with_scores(before, changed, reports)
    write_manifest(changed)
    card.write_text(after, encoding="utf-8")
    TABLE.write(models_rows())


if __name__ == "__main__":
    raise SystemExit(main())
