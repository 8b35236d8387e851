"""python tools/retrain.py default --data DATA --out runs: train a model of the package anew.

Runs ``unmix train`` with the recipes that made it, one after the other, each from the weights
that the one before leaves. A run that was cut goes on; one that is complete is left as it is. DATA
is the folder that the recipes' paths are relative to.
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
    """Read the arguments, train what is not trained; stop where a stage fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name of a model of the package, or default")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for a run of each stage")
    parser.add_argument("--steps", type=int, help="of each stage, instead of the recipe's")
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
            cli.main(command)  # in this process: it saves where a signal ends it
        except SystemExit as end:
            if end.code:
                raise
    return 0


def commands(model: ModelEntry, options: argparse.Namespace) -> Iterator[list[str]]:
    """Yield the arguments of ``unmix`` for every stage, as the runs in the folder stand.

    Raises:
        UnmixError: where the manifest does not know how the model was trained.
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
