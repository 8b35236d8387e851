"""``unmix train``: a recipe and a folder of data become a model."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..errors import UnmixError
from . import _options as options
from ._console import INTERRUPTED, notes

if TYPE_CHECKING:
    from rich.console import Console

    from ..training.config import Recipe


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe: a .toml file, or a name from unmix/configs.")
    ],
    data: Annotated[Path, typer.Option(help="Folder that the recipe's paths are relative to.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run. [runs/NAME]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint.")
    ] = False,
    init: Annotated[
        str | None,
        typer.Option(help="Model whose weights to start from: a name or a path."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read excerpts.")] = 2,
    device: options.DeviceOption = "auto",
) -> None:
    """Train a model from a recipe; stop it whenever you like, --resume goes on."""
    from ..recipes import find_recipe
    from ..training.config import read_recipe, training_of
    from ..training.loop import Run
    from ..training.loop import train as run_training
    from ..training.validation import TrackValidator

    path = find_recipe(recipe)
    loaded = read_recipe(path)
    changed = {"steps": steps, "batch_size": batch_size, "seed": seed}
    config = training_of(loaded, str(path)).model_copy(
        update={name: value for name, value in changed.items() if value is not None}
    )
    run = Run(
        recipe=_with(loaded, config),
        train=config,
        data=data,
        out=out or Path("runs") / path.stem,
        workers=workers,
        device=_kind(device),
        resume=resume,
        init=init,
    )
    validator = TrackValidator([data / folder for folder in config.validation])
    console = notes()
    try:
        with _Display(console, run.out, config.steps) as display:
            last = run_training(run, display, validator if config.validation else None)
    except KeyboardInterrupt:
        there = f"--resume goes on from {run.last}" if run.last.exists() else "nothing to --resume"
        console.print(f"Interrupted: {there}.")
        raise typer.Exit(INTERRUPTED) from None
    console.print(f"Trained: {last}. Try it: unmix separate SONG --model {last}")


def _kind(name: str) -> str:
    """Return the kind of the device called ``name``: a run takes the first of a kind.

    Raises:
        UnmixError: for a device that is not there, or not the first.
    """
    from ..devices import choose_device

    device = choose_device(name)
    if device.index:
        raise UnmixError(
            f"a run takes the first {device.type} device: CUDA_VISIBLE_DEVICES={device.index} "
            f"in front of the command, with --device {device.type}, makes it that one"
        )
    return device.type


def _with(recipe: Recipe, train: object) -> Recipe:
    return recipe.model_copy(update={"train": train})


class _Display:
    """Draws a progress bar, and writes what it is told to ``log.csv`` and ``scores.csv``.

    A run that goes on repeats the steps since its checkpoint: what was logged of them is replaced.
    """

    def __init__(self, console: Console, out: Path, steps: int) -> None:
        self._out = out
        self._progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[rate]:.1f} items/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=300,
        )
        self._task = self._progress.add_task("train", total=steps, loss=float("nan"), rate=0.0)
        self._loss: float | None = None
        self._begun: set[str] = set()

    def __enter__(self) -> _Display:
        self._out.mkdir(parents=True, exist_ok=True)
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        """Move the bar; log every tenth step. The loss shown is a moving average."""
        self._loss = loss if self._loss is None else 0.98 * self._loss + 0.02 * loss
        self._progress.update(self._task, completed=step, loss=self._loss, rate=items_per_second)
        if step % 10 == 0:
            row = {"loss": f"{self._loss:.6f}", "learning_rate": f"{learning_rate:.3e}"}
            row["items_per_second"] = f"{items_per_second:.2f}"
            self._append("log.csv", step, row)

    def validated(self, step: int, scores: dict[str, float]) -> None:
        """Print and log scores."""
        text = ", ".join(f"{stem} {value:.2f} dB" for stem, value in scores.items())
        self._progress.console.print(f"step {step}: {text} (mean whole-track SDR)")
        row = {stem: f"{value:.4f}" for stem, value in scores.items()}
        self._append("scores.csv", step, row)

    def saved(self, path: Path) -> None:
        """Say nothing: checkpoints are written every few minutes."""

    def _append(self, name: str, step: int, row: dict[str, str]) -> None:
        path = self._out / name
        if name not in self._begun:
            self._begun.add(name)
            header = ["step", *row]
            kept = [r for r in _rows(path) if len(r) == len(header) and _step(r) < step]
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([header, *kept])
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([step, *row.values()])


def _rows(path: Path) -> list[list[str]]:
    """Return the rows of an earlier run's log, without the header."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def _step(row: list[str]) -> float:
    """Return the step that a row tells of; infinity where the row is damaged."""
    return int(row[0]) if row[0].isdecimal() else float("inf")
