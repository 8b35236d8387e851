"""``unmix evaluate``: tracks whose stems are known, and what a system makes of them, as scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from . import _options as options
from ._console import notes, print_json, results, say_warning
from ._scores import comparison_table, score_table

if TYPE_CHECKING:
    from ..evaluation import Dataset, Report

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
    name: Annotated[
        str | None, typer.Option(help="What that system is called. [its folder's name]")
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
    window: Annotated[float, typer.Option(help="Seconds of BSS Eval's frames; inf for one.")] = 1.0,
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
    quality: options.QualityOption = options.QualityName.BALANCED,
    device: options.DeviceOption = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print all scores as JSON.")] = False,
) -> None:
    """Score a model, or any system's stems, on tracks whose true stems are known.

    --model mixture, irm, ibm, mwf, hpss or repet-sim scores a baseline: floor and ceiling.
    """
    _check_usage(data, model, estimates, references, compare, out)
    chosen = _Chosen(
        tracks=(split, include or [], exclude or []),
        model={"quality": quality.value},
        options={
            "stems": stems,
            "metrics": metrics,
            "window": window,
            "hop": hop,
            "framewise": framewise,
            "official": official,
            "baselines": "" if baselines == "none" else baselines,
            "examples": examples,
            "device": device,
        },
    )
    if compare is not None:
        _compare(compare, data, chosen, out, json)
    elif estimates is not None and references is not None:
        _show(_estimates(estimates, references, name, chosen, out), out, json)
    elif data is not None:
        _show(_model(model, data, chosen, out), out, json)


class _Chosen(NamedTuple):
    """What the user asked for, as the functions behind take it."""

    tracks: tuple[str | None, list[str], list[str]]
    """Split, names to take, names to leave out."""
    model: dict[str, Any]
    """Options of models alone."""
    options: dict[str, Any]

    def dataset(self, where: str) -> Dataset:
        """Return the data set with the tracks that are asked for."""
        from ..evaluation import open_dataset

        split, include, exclude = self.tracks
        return open_dataset(where, split).only(include, exclude)


def _check_usage(
    data: str | None,
    model: str,
    estimates: Path | None,
    references: str | None,
    compare: tuple[str, str] | None,
    out: Path | None,
) -> None:
    """Refuse options that do not go together; none is left out silently."""
    given = estimates is not None or references is not None
    if compare is not None:
        if given or model != "default":
            raise typer.BadParameter("--compare takes its two systems as A and B, and no others")
        if out is not None and data is None:
            raise typer.BadParameter("--compare needs --data where it is to score, with --out")
    elif (estimates is None) is not (references is None):
        raise typer.BadParameter(
            "--estimates needs --references, and --references needs --estimates"
        )
    elif (data is None) is not given:
        raise typer.BadParameter("needs either --data, or --estimates and --references")
    elif given and model != "default":
        raise typer.BadParameter("--estimates are there already: they need no --model")


def _model(model: str, data: str, chosen: _Chosen, out: Path | None) -> Report:
    from ..evaluation import evaluate as run

    dataset = chosen.dataset(data)
    with _Progress(f"Scoring {model}") as progress:
        return run(
            model, data=dataset, out=out, progress=progress, **chosen.model, **chosen.options
        )


def _estimates(
    estimates: Path, references: str, name: str | None, chosen: _Chosen, out: Path | None
) -> Report:
    from ..evaluation import evaluate_estimates

    dataset = chosen.dataset(references)
    with _Progress(f"Scoring {name or estimates.name}") as progress:
        return evaluate_estimates(
            estimates, references=dataset, name=name, out=out, progress=progress, **chosen.options
        )


def _compare(
    systems: tuple[str, str], data: str | None, chosen: _Chosen, out: Path | None, json: bool
) -> None:
    from ..evaluation import compare_reports, load_report
    from ..evaluation.comparison import comparison_as_dict
    from ..evaluation.report.results import save_comparison

    reports = []
    for letter, system in zip("AB", systems, strict=True):
        if data is None or Path(system, "scores.json").is_file():
            reports.append(load_report(Path(system)))
        else:
            reports.append(_model(system, data, chosen, None if out is None else out / letter))
    rows = compare_reports(*reports)
    plain = comparison_as_dict(rows)
    if out is not None:
        save_comparison(out, plain)
    if json:
        print_json(plain)
    else:
        results().print(comparison_table(reports[0], reports[1], rows), soft_wrap=False)


def _show(report: Report, out: Path | None, json: bool) -> None:
    if json:
        from ..evaluation.report.results import report_as_dict

        print_json(report_as_dict(report))
    else:
        console = results()
        console.print(score_table(report, console.width), soft_wrap=False)
    singular = report.settings.get("singular", [])
    if singular:
        say_warning(
            f"{len(singular)} of {len(report.tracks)} tracks have references with an empty upper "
            "band, as from lossy files or lower rates: their ISR, SIR and SAR are figures of "
            "rounding errors; save the references with 16 bits"
        )
    if out is not None:
        notes().print(f"Wrote {out / 'index.html'}", soft_wrap=True, highlight=False)


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
