"""``unmix train``: train a model from a recipe and a folder of data."""

from __future__ import annotations

import math
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
from ._console import INTERRUPTED, clock, notes, results

if TYPE_CHECKING:
    from rich.console import Console

    from ..training.run import Listener, Run
    from ..training.validation import TrackValidator


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="Path of a .toml file, or name of a recipe in unmix/recipes."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Data folder; paths in the recipe are relative to it."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder for checkpoints and logs.",
            show_default="runs/RECIPE",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume from the last checkpoint.")
    ] = False,
    init: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Model whose weights to start from: name or path."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Number of steps; overrides the recipe.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Items per batch; overrides the recipe.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Random seed; overrides the recipe.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that load data; 0: only the main process.")
    ] = 2,
    device: Annotated[
        str, typer.Option("--device", "-d", metavar="NAME", help=options.DEVICE_HELP)
    ] = "auto",
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Also write curves, spectrograms and audio for TensorBoard."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Estimate memory and time from a few steps; write nothing."),
    ] = False,
) -> None:
    """Train a model from a recipe. Stop at any time, and continue with --resume.

    To use several GPUs or machines, start it with torchrun: torchrun --nproc-per-node 4 -m unmix
    train RECIPE ... All machines need access to the same output folder.
    """
    if resume and init:
        raise typer.BadParameter("--resume and --init cannot be used together")
    from ..recipes.reading import find_recipe
    from ..training.config import read_recipe, training_of
    from ..training.run import Run

    path = find_recipe(recipe)
    loaded = read_recipe(path)
    changed = {"steps": steps, "batch_size": batch_size, "seed": seed}
    given = {name: value for name, value in changed.items() if value is not None}
    config = training_of(loaded, str(path), **given)
    run = Run(
        recipe=loaded.model_copy(update={"train": config}),
        train=config,
        data=data,
        out=out or Path("runs") / path.stem,
        workers=workers,
        device=_device_type(device),
        resume=resume,
        init=init,
    )
    if dry_run:
        _dry_run(run)
    else:
        _train(run, tensorboard)


def _train(run: Run, tensorboard: bool) -> None:
    """Train with a progress bar, which the main process alone shows."""
    from ..training.distributed import is_main_process
    from ..training.logs import CsvLog, Listeners
    from ..training.loop import train as run_training
    from ..training.tensorboard import TensorBoardLog

    console = notes()
    console.quiet = not is_main_process()
    validator = _validator(run)
    board = (
        TensorBoardLog(run.out / "tensorboard", validator)
        if tensorboard and is_main_process()
        else None
    )
    validate = board if board and validator else validator
    try:
        with _Display(console, run.train.steps) as display:
            told: list[Listener] = [display, CsvLog(run.out), *([board] if board else [])]
            last = run_training(run, Listeners(told), validate)
    except (KeyboardInterrupt, SystemExit) as stop:
        there = f"--resume continues from {run.last}" if run.last.exists() else "nothing to resume"
        console.print(f"Interrupted: {there}.")
        if isinstance(stop, SystemExit):  # raised by a signal, with its own exit code
            raise
        raise typer.Exit(INTERRUPTED) from None
    finally:
        if board:
            board.close()
    console.print(f"Trained: {last}. Try it: unmix separate SONG --model {last}")


def _validator(run: Run) -> TrackValidator | None:
    from ..config import validate
    from ..models import config_type
    from ..training.validation import TrackValidator

    recipe = run.recipe
    if not run.train.validation:
        return None
    stems = validate(config_type(recipe.architecture), recipe.model, "table [model]").stems
    return TrackValidator([run.data / folder for folder in run.train.validation], stems)


def _dry_run(run: Run) -> None:
    """Print what a run would take, in memory and in time."""
    from ..training.dry_run import dry_run, run_seconds

    found = dry_run(run)
    config, mib = run.train, 2**20
    items = config.batch_size * config.accumulate
    where = f"in each of {run.workers} processes" if run.workers > 1 else "in one process"
    lines = {
        "model": f"{found.architecture}: {', '.join(found.stems)}",
        "parameters": f"{found.parameters:,}",
        "checkpoint": f"{found.checkpoint_bytes / mib:.0f} MiB",
        "memory": f"{found.memory_bytes / mib:.0f} MiB",
        "computes": f"on {found.device}, {found.precision}",
        "step": f"{found.step_seconds:.3g} s for {items} items; first loss {found.loss:.4f}",
        "loading": f"{found.item_seconds:.3g} s per item, {where}",
        "total": f"{config.steps} steps, about {clock(run_seconds(found, run))} without validation",
    }
    for name, text in lines.items():
        results().print(f"{name:<11} {text}")


def _device_type(name: str) -> str:
    """Return the type of a device; training runs on the first device of a type.

    Raises:
        UnmixError: the device does not exist, or is not the first of its type.
    """
    from ..devices import choose_device

    device = choose_device(name)
    if device.index:
        raise UnmixError(
            f"training uses the first {device.type} device only; to choose another one, set "
            f"CUDA_VISIBLE_DEVICES={device.index} and pass --device {device.type}"
        )
    return device.type


class _Display:
    """A listener that draws a progress bar, from the first step on."""

    def __init__(self, console: Console, steps: int) -> None:
        from ..training.logs import MovingLoss

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
        self._task = self._progress.add_task("train", total=steps, loss=0.0, rate=0.0)
        self._loss = MovingLoss()

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress.live.is_started:
            self._progress.stop()

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        """Move the bar; show a moving average of the loss."""
        if math.isnan(loss):
            self._progress.console.print(
                f"step {step}: skipped, its loss or gradient is not finite"
            )
        self._loss.add(loss)
        shown = self._loss.value
        self._progress.update(self._task, completed=step, loss=shown, rate=items_per_second)
        self._progress.start()

    def validated(self, step: int, scores: dict[str, float]) -> None:
        """Print the scores."""
        text = ", ".join(f"{stem} {value:.2f} dB" for stem, value in scores.items())
        self._progress.console.print(f"step {step}: {text} (mean whole-track SDR)")

    def saved(self, path: Path) -> None:
        """Print nothing: checkpoints are written every few minutes."""
