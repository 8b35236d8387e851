"""python tools/rescore.py NAME --data DATA: measure a model of the package anew, where it stands.

Writes the scores of every source into the manifest, the model's card and the README's table, after
the way of measuring has changed or a source has come. The weights stay as they are.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from card import with_scores
from release import TABLE, models_rows, write_manifest
from scores import SOURCES, measure, scores_of
from unmix.errors import UnmixError
from unmix.manifest import ModelEntry, find_model


def main() -> int:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name of a model of the package, or default")
    parser.add_argument("--data", type=Path, required=True, help="folder that recipes are read in")
    parser.add_argument("--source", nargs="+", choices=SOURCES, default=[*SOURCES])
    options = parser.parse_args()
    try:
        rescore(find_model(options.model), options.data, options.source)
    except UnmixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def rescore(entry: ModelEntry, data: Path, names: list[str]) -> None:
    """Measure a model on sources by name, and put these scores in the place of all it has.

    Raises:
        UnmixError: where a source is not there, or the card has no place for scores.
    """
    folder = entry.weights.parent
    reports = {source: measure(folder, data, source) for source in map(SOURCES.__getitem__, names)}
    scores = tuple(s for source, report in reports.items() for s in scores_of(source, report))
    changed = entry.model_copy(update={"scores": scores})
    card = folder / "card.md"
    text = with_scores(card.read_text(encoding="utf-8"), changed, reports)
    write_manifest([changed])
    card.write_text(text, encoding="utf-8")
    TABLE.write(models_rows())


if __name__ == "__main__":
    raise SystemExit(main())
