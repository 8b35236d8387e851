"""python -m tools.experiments.mir1k DATA --out runs/mir1k-unet: train on MIR-1K, score, compare.

Trains a recipe (``--recipe``) and prints its row beside the published ones. DATA holds
``mir1k/SINGER/CLIP/{vocals,accompaniment}.*``. An interrupted run resumes; a complete one is only
scored. ``tools/singing.py`` describes the protocol. With ``--write`` the row goes into
``unmix/recipes/README.md``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from unmix import Separator
from unmix.errors import UnmixError
from unmix.recipes.reading import find_recipe
from unmix.separation.separator import QUALITIES
from unmix.stems import ACCOMPANIMENT, VOCALS
from unmix.training.checkpoint import load_checkpoint
from unmix.training.config import Recipe, TrainConfig, read_recipe, training_of
from unmix.training.logs import CsvLog, Listeners
from unmix.training.loop import train
from unmix.training.run import Listener, Run

from ..singing import MeanSingingScores, score_singing
from ..tables import ROOT, MarkdownTable

FIGURES = ("GNSDR", "GSIR", "GSAR")
TABLE = MarkdownTable(
    "mir1k",
    ROOT / "unmix" / "recipes" / "README.md",
    (
        "system",
        *(f"{stem} {figure}" for stem in ("voice", "accomp.") for figure in FIGURES),
        "seed",
        "trained in",
    ),
    text=("system", "trained in"),
)
#: The figures given in the table of Park et al. (ISMIR 2018).
PUBLISHED = {
    "MLRR (2013)": (3.85,),
    "DRNN (2014)": (7.45,),
    "ModGD (2016)": (7.50,),
    "U-Net (2017)": (7.43, 11.79, 10.42),
    "Stacked hourglass, 4 (2018)": (10.51, 16.01, 12.53, 9.88, 14.24, 12.36),
}


def main() -> int:
    """Train unless trained, score, print."""
    options = _parser().parse_args()
    try:
        report(options, Console())
    except UnmixError as error:
        raise SystemExit(f"error: {error}") from None
    return 0


def report(options: argparse.Namespace, console: Console) -> None:
    """Train unless trained, score, print."""
    recipe = read_recipe(find_recipe(options.recipe))
    listener = Listeners([CsvLog(options.out), _Lines(console)])
    config = training_of(recipe, options.recipe)
    checkpoint = trained(recipe, config, options.out, options, listener)
    separator = Separator(checkpoint, device=options.device, quality=options.quality)
    with Progress(console=console) as progress:
        task = progress.add_task("Scoring", total=1.0)
        scores = score_singing(
            separator.separate,
            options.data / "mir1k",
            every=options.every,
            progress=lambda fraction: progress.update(task, completed=fraction),
        )
    ours = row(options, load_checkpoint(checkpoint), scores)
    known = TABLE.rows | {options.recipe: ours}
    rows = [*published(), *known.values()]
    console.print(f"MIR-1K, {scores.clips} clips, {scores.seconds / 60:.0f} minutes; in dB")
    if scores.undefined:
        console.print(f"{scores.undefined} clips have no figures: their estimates are silent")
    console.print(Markdown(TABLE.markdown(rows)))
    if options.write:
        TABLE.write(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder that recipes' paths are relative to")
    parser.add_argument("--recipe", default="mir1k-unet")
    parser.add_argument("--out", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--every", type=int, default=1, help="score only every Nth clip")
    parser.add_argument("--quality", choices=QUALITIES, default="balanced")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--machine", default="", help="machine it was trained on, for the table")
    parser.add_argument("--write", action="store_true", help="write the row into the table")
    return parser


def trained(
    recipe: Recipe,
    config: TrainConfig,
    out: Path,
    options: argparse.Namespace,
    listener: Listener,
) -> Path:
    """Train a recipe with some settings, or resume its run; return the last checkpoint."""
    run = Run(
        recipe=recipe.model_copy(update={"train": config}),
        train=config,
        data=options.data,
        out=out,
        workers=options.workers,
        device=options.device,
        resume=(out / "last.ckpt").exists(),
    )
    if run.resume and load_checkpoint(run.last)["step"] >= run.train.steps:
        return run.last
    return train(run, listener)


class _Lines:
    """Prints the loss every 100 steps."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        if step % 100 == 0:
            self._console.print(f"step {step}: loss {loss:.4f}, {items_per_second:.1f} items/s")

    def validated(self, step: int, scores: dict[str, float]) -> None:
        pass

    def saved(self, path: Path) -> None:
        pass


def row(options: argparse.Namespace, held: dict[str, Any], scores: MeanSingingScores) -> list[str]:
    """Return the row of our recipe."""
    config = held["recipe"]["train"]
    how = f"{held['step']} steps of {config['batch_size']}, {held['seconds'] / 60:.0f} min"
    means = (scores.gnsdr, scores.gsir, scores.gsar)
    return [
        f"`{options.recipe}`",
        *(f"{mean[stem]:.2f}" for stem in (VOCALS, ACCOMPANIMENT) for mean in means),
        str(config["seed"]),
        f"{how}, {options.machine}" if options.machine else how,
    ]


def published() -> list[list[str]]:
    """Return the published rows."""
    width = len(TABLE.headings) - 1
    cells = {
        name: [f"{value:.2f}" for value in figures] + [""] * (width - len(figures))
        for name, figures in PUBLISHED.items()
    }
    return [[name, *row] for name, row in cells.items()]


if __name__ == "__main__":
    raise SystemExit(main())
