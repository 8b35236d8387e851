"""python -m tools.release.retrain default --data DATA --out runs: train a released model again.

Runs ``unmix train`` with each recipe that made the model, in order, starting every stage from the
weights of the one before. Interrupted stages resume and complete ones are left alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from unmix import cli
from unmix.errors import UnmixError
from unmix.weights.manifest import ModelEntry, find_model


def main() -> int:
    """Train every stage; stop where one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="name of a released model, or default")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that recipes' paths are relative to"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the stages' runs")
    parser.add_argument("--steps", type=int, help="steps of each stage (default: the recipe's)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    try:
        stages = list(commands(find_model(options.model), options))
    except UnmixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for command in stages:
        print(" ".join(["unmix", *command]), flush=True)
        try:
            cli.main(command)  # in this process, so that a signal makes it save and stop
        except SystemExit as end:
            if end.code:
                raise
    return 0


def commands(model: ModelEntry, options: argparse.Namespace) -> Iterator[list[str]]:
    """Yield the arguments of ``unmix`` for each stage, resuming those that have begun.

    Raises:
        UnmixError: if the manifest does not say how the model was trained.
    """
    if not model.stages:
        raise UnmixError(f"{model.name}: the manifest does not say how it was trained")
    runs = {stage: options.out / stage / "last.ckpt" for stage in model.stages}
    before = {after: first for first, after in pairwise(model.stages)}
    for stage, last in runs.items():
        command = ["train", stage, "--data", str(options.data), "--out", str(last.parent)]
        command += ["--workers", str(options.workers), "--device", options.device]
        if options.steps is not None:
            command += ["--steps", str(options.steps)]
        if last.exists():
            command.append("--resume")
        elif stage in before:
            command += ["--init", str(runs[before[stage]])]
        yield command


if __name__ == "__main__":
    raise SystemExit(main())
