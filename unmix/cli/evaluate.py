"""``unmix evaluate``: tracks whose stems are known, and what a system makes of them, as scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import _options as options
from ._console import notes, print_json, results
from ._scores import comparison_table, score_table

if TYPE_CHECKING:
    from ..evaluation import Report

_DATA = (
    "musdb:PATH, ccmixter:PATH, dsd100:PATH, mir1k:PATH, or a folder of tracks: a folder each, "
    "with a file per stem."
)


def evaluate(
    data: Annotated[str | None, typer.Option(help=f"What to score on: {_DATA}")] = None,
    model: options.ModelOption = "default",
    estimates: Annotated[
        Path | None,
        typer.Option(help="Score stems that any other system made: TRACK/STEM.wav in a folder."),
    ] = None,
    references: Annotated[
        str | None, typer.Option(help="What those are held against, as --data.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Two reports (--out folders), or models to score on --data.", metavar="A B"
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of the data set, such as test; a folder in a folder.")
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option(help="Only tracks of this name, with *. Repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="No tracks of this name, with *. Repeatable.")
    ] = None,
    stems: Annotated[
        str | None, typer.Option(help="Which stems, as vocals,drums. [all that are known]")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="bss,sdr,si_sdr,log_l1,singing, or some. [what papers report for --data]"
        ),
    ] = None,
    window: Annotated[float, typer.Option(help="Seconds of BSS Eval's frames.")] = 1.0,
    hop: Annotated[
        float | None, typer.Option(help="Seconds from frame to frame. [the window]")
    ] = None,
    framewise: Annotated[
        bool, typer.Option("--framewise", help="Filters for every frame, as in BSS Eval v3.")
    ] = False,
    official: Annotated[
        bool, typer.Option("--official", help="Have museval itself compute BSS Eval: slower.")
    ] = False,
    baselines: Annotated[
        str | None,
        typer.Option(
            help="mixture,irm,ibm,mwf,hpss,repet-sim, some, or none. [all with --out, else mixture]"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write a report: a page, JSON, CSV. Goes on where it stopped."
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, help="Tracks to see and hear on the page, from worst to best.")
    ] = 3,
    quality: options.QualityOption = options.Quality.BALANCED,
    device: options.DeviceOption = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print all scores as JSON.")] = False,
) -> None:
    """Score a model, or any system's stems, on tracks whose true stems are known.

    --model mixture, irm, ibm, mwf, hpss or repet-sim scores a baseline: floor and ceiling.
    """
    choices: dict[str, Any] = {
        "stems": _listed(stems),
        "metrics": _listed(metrics),
        "window": window,
        "hop": hop,
        "framewise": framewise,
        "official": official,
        "baselines": [] if baselines == "none" else _listed(baselines),
        "examples": examples,
        "device": device,
    }
    tracks = (split, include or [], exclude or [])
    if compare is not None:
        _compare(compare, data, tracks, choices, quality.value, out, json)
        return
    if (estimates is None) is not (references is None):
        raise typer.BadParameter(
            "--estimates needs --references, and --references needs --estimates"
        )
    if (data is None) is (references is None):
        raise typer.BadParameter("needs either --data, or --estimates and --references")
    if estimates is not None and references is not None:
        report = _estimates(estimates, references, tracks, choices, out)
    else:
        assert data is not None
        report = _model(model, data, tracks, choices, quality.value, out)
    _show(report, out, json)


_Tracks = tuple[str | None, list[str], list[str]]


def _model(
    model: str, data: str, tracks: _Tracks, choices: dict[str, Any], quality: str, out: Path | None
) -> Report:
    from ..evaluation import evaluate as run
    from ..evaluation import open_dataset

    split, include, exclude = tracks
    dataset = open_dataset(data, split).only(include, exclude)
    with _Progress(f"Scoring {model}") as progress:
        return run(model, data=dataset, out=out, quality=quality, progress=progress, **choices)


def _estimates(
    estimates: Path, references: str, tracks: _Tracks, choices: dict[str, Any], out: Path | None
) -> Report:
    from ..evaluation import evaluate_estimates, open_dataset

    split, include, exclude = tracks
    dataset = open_dataset(references, split).only(include, exclude)
    with _Progress(f"Scoring {estimates.name}") as progress:
        return evaluate_estimates(
            estimates, references=dataset, out=out, progress=progress, **choices
        )


def _compare(
    names: tuple[str, str],
    data: str | None,
    tracks: _Tracks,
    choices: dict[str, Any],
    quality: str,
    out: Path | None,
    json: bool,
) -> None:
    from ..evaluation import compare_reports, load_report
    from ..evaluation.comparison import comparison_as_dict
    from ..naming import safe_part

    reports = []
    for name in names:
        if data is None or Path(name, "scores.json").is_file():
            reports.append(load_report(Path(name)))
        else:
            place = None if out is None else out / safe_part(Path(name).name)
            reports.append(_model(name, data, tracks, choices, quality, place))
    rows = compare_reports(*reports)
    if json:
        print_json(comparison_as_dict(rows))
    else:
        results().print(comparison_table(reports[0], reports[1], rows), soft_wrap=False)


def _show(report: Report, out: Path | None, json: bool) -> None:
    if json:
        from ..evaluation.results import report_as_dict

        print_json(report_as_dict(report))
    else:
        console = results()
        console.print(score_table(report, console.width), soft_wrap=False)
    if out is not None:
        notes().print(f"Wrote {out / 'index.html'}", soft_wrap=True, highlight=False)


def _listed(names: str | None) -> list[str] | None:
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


class _Progress:
    """A bar with the time that is left; only where somebody watches."""

    def __init__(self, text: str) -> None:
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = notes()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(text, total=1.0)

    def __enter__(self) -> _Progress:
        self._bar.__enter__()
        return self

    def __call__(self, fraction: float) -> None:
        self._bar.update(self._task, completed=fraction)

    def __exit__(self, *problem: object) -> None:
        self._bar.__exit__(None, None, None)
