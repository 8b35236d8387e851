"""``unmix evaluate``: a model and tracks whose stems are known become a table of scores."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ..evaluation import Report


def evaluate(
    data: Annotated[
        Path, typer.Option(help="Folder of tracks: a folder each, with a file per stem.")
    ],
    model: Annotated[
        str, typer.Option(help="Name or path of a model; `mixture` scores the mixture itself.")
    ] = "default",
    quality: Annotated[str, typer.Option(help="fast, balanced or best.")] = "balanced",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print all scores as JSON.")] = False,
) -> None:
    """Score a model: museval's SDR over frames of 1 s, and the whole-track SDR, in dB."""
    from rich.progress import Progress

    from ..evaluation import evaluate as run_evaluation

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Scoring", total=1.0)
        report = run_evaluation(
            model,
            data=data,
            quality=quality,
            device=device,
            progress=lambda fraction: progress.update(task, completed=fraction),
        )
    if json:
        typer.echo(json_format.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        Console().print(_table(report))


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
