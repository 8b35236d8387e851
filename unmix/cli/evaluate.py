"""``unmix evaluate``: a model and tracks whose stems are known become a table of scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from . import _options as options
from ._console import notes, print_json, results

if TYPE_CHECKING:
    from ..evaluation import Report


def evaluate(
    data: Annotated[
        Path, typer.Option(help="Folder of tracks: a folder each, with a file per stem.")
    ],
    model: options.ModelOption = "default",
    quality: options.QualityOption = options.Quality.BALANCED,
    device: options.DeviceOption = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print all scores as JSON.")] = False,
) -> None:
    """Score a model: museval's SDR over frames of 1 s, and the whole-track SDR, in dB.

    --model mixture scores the mixture itself: what any model has to be better than.
    """
    from rich.progress import Progress

    from ..evaluation import evaluate as run_evaluation

    console = notes()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Scoring", total=1.0)
        report = run_evaluation(
            model,
            data=data,
            quality=quality.value,
            device=device,
            progress=lambda fraction: progress.update(task, completed=fraction),
        )
    if json:
        print_json(report.as_dict())
    else:
        results().print(_table(report), soft_wrap=False)


def _table(report: Report) -> Table:
    from ..evaluation.report import BSS_SDR, SDR

    tracks = len(report.scores) // max(1, len(report.stems))
    table = Table(title=f"{report.model} on {report.dataset}: {tracks} tracks, SDR in dB")
    table.add_column("stem")
    table.add_column("museval, 1 s frames\nmedian of medians", justify="right")
    table.add_column("whole track\nmean", justify="right")
    for stem in report.stems:
        table.add_row(stem, f"{report.median(stem, BSS_SDR):.2f}", f"{report.mean(stem, SDR):.2f}")
    return table
