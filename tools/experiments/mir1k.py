"""python tools/mir1k.py DATA --recipe mir1k-unet --out runs/mir1k-unet: train on MIR-1K, and print
our row beside the published ones.

DATA holds ``mir1k/SINGER/CLIP/{vocals,accompaniment}.*``. A run that was cut goes on; one that is
complete is only scored. The protocol, and whose it is, stands in ``unmix/evaluation/singing.py``.
With ``--write`` the row takes its place in the README.
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
from unmix.evaluation.singing import SingingScores, score_singing
from unmix.recipes.reading import find_recipe
from unmix.separation.separator import QUALITIES
from unmix.stems import ACCOMPANIMENT, VOCALS
from unmix.training.checkpoint import load_checkpoint
from unmix.training.config import read_recipe, training_of
from unmix.training.logs import CsvLog, Several
from unmix.training.run import Run

from ..tables import ReadmeTable
from .resumable import complete

FIGURES = ("GNSDR", "GSIR", "GSAR")
TABLE = ReadmeTable(
    "mir1k",
    "mir1k.py",
    (
        "system",
        *(f"{stem} {figure}" for stem in ("voice", "accomp.") for figure in FIGURES),
        "seed",
        "trained in",
    ),
    text=("system", "trained in"),
)
#: The same figures, those that were given, in the table of Park et al. (ISMIR 2018).
PUBLISHED = {
    "MLRR (2013)": (3.85,),
    "DRNN (2014)": (7.45,),
    "ModGD (2016)": (7.50,),
    "U-Net (2017)": (7.43, 11.79, 10.42),
    "Stacked hourglass, 4 (2018)": (10.51, 16.01, 12.53, 9.88, 14.24, 12.36),
}


def main() -> int:
    """Read the arguments, train what is not trained, score, print."""
    options = _parser().parse_args()
    try:
        report(options, Console())
    except UnmixError as error:
        raise SystemExit(f"error: {error}") from None
    return 0


def report(options: argparse.Namespace, console: Console) -> None:
    """Train what is not trained, score, print."""
    checkpoint = trained(options, console)
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
        console.print(f"{scores.undefined} clips lack figures: their estimates are silent")
    console.print(Markdown(TABLE.markdown(rows)))
    if options.write:
        TABLE.write(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", default="mir1k-unet")
    parser.add_argument("--out", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--every", type=int, default=1, help="score every so manieth clip only")
    parser.add_argument("--quality", choices=QUALITIES, default="balanced")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--machine", default="", help="what it was trained on, for the table")
    parser.add_argument("--write", action="store_true", help="put the row into the README")
    return parser


def trained(options: argparse.Namespace, console: Console) -> Path:
    """Return the last checkpoint of a complete run; go on with one that is not."""
    recipe = read_recipe(find_recipe(options.recipe))
    config = training_of(recipe, options.recipe)
    run = Run(
        recipe=recipe,
        train=config,
        data=options.data,
        out=options.out,
        workers=options.workers,
        device=options.device,
        resume=(options.out / "last.ckpt").exists(),
    )
    return complete(run, Several([CsvLog(run.out), _Lines(console)]))


class _Lines:
    """Prints a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        if step % 100 == 0:
            self._console.print(f"step {step}: loss {loss:.4f}, {items_per_second:.1f} items/s")

    def validated(self, step: int, scores: dict[str, float]) -> None:
        pass

    def saved(self, path: Path) -> None:
        pass


def row(options: argparse.Namespace, held: dict[str, Any], scores: SingingScores) -> list[str]:
    """Return the cells of our row."""
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
    """Return the cells of the others' rows."""
    width = len(TABLE.headings) - 1
    cells = {
        name: [f"{value:.2f}" for value in figures] + [""] * (width - len(figures))
        for name, figures in PUBLISHED.items()
    }
    return [[name, *row] for name, row in cells.items()]


if __name__ == "__main__":
    raise SystemExit(main())
