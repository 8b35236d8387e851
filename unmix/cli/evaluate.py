"""``unmix evaluate``: score a model, or any system's stems, on tracks whose stems are known."""

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
    "musdb:PATH, ccmixter:PATH, dsd100:PATH, mir1k:PATH, or a folder with a folder per track and "
    "a file per stem."
)


def evaluate(
    data: Annotated[str | None, typer.Option(help=f"Tracks to score on: {_DATA}")] = None,
    model: options.ModelOption = "default",
    estimates: Annotated[
        Path | None,
        typer.Option(help="Score stems from another system: a folder with TRACK/STEM.wav."),
    ] = None,
    references: Annotated[
        str | None, typer.Option(help="Tracks to score --estimates on, written like --data.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the system that made --estimates.", show_default="the folder's name"
        ),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Compare two reports (folders made by --out), or two models on --data.",
            metavar="A B",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of the data set, such as test, or a subfolder.",
            show_default="the test split",
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(help="Score only tracks that match a pattern, such as 'A*'. Repeatable."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out tracks that match a pattern. Repeatable.")
    ] = None,
    stems: Annotated[
        str | None,
        typer.Option(help="Stems to score, such as vocals,drums.", show_default="all available"),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Any of bss, sdr, si_sdr, log_l1 and singing, comma-separated.",
            show_default="usual for the data",
        ),
    ] = None,
    window: Annotated[
        float, typer.Option(help="Length of BSS Eval's frames in seconds; inf: whole track.")
    ] = 1.0,
    hop: Annotated[
        float | None, typer.Option(help="Seconds between frames.", show_default="the window")
    ] = None,
    framewise: Annotated[
        bool, typer.Option("--framewise", help="Fit filters to each frame, as BSS Eval v3 does.")
    ] = False,
    official: Annotated[
        bool, typer.Option("--official", help="Compute BSS Eval with museval itself; slower.")
    ] = False,
    baselines: Annotated[
        str | None,
        typer.Option(
            help="Any of mixture, irm, ibm, mwf, hpss and repet-sim, comma-separated, or none.",
            show_default="all with --out, else mixture",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for a report (page, JSON, CSV), new or to resume."
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, help="Tracks with pictures and sounds on the report's page.")
    ] = 3,
    quality: options.QualityOption = options.QualityName.BALANCED,
    device: options.DeviceOption = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print all scores as JSON.")] = False,
) -> None:
    """Score a model, or any system's stems, on tracks whose true stems are known.

    To score a baseline, pass it to --model: mixture, irm, ibm, mwf, hpss or repet-sim.
    """
    _check_usage(data, model, estimates, references, compare, out)
    request = _Request(
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
        _compare(compare, data, request, out, json)
    elif estimates is not None and references is not None:
        _show(_estimates(estimates, references, name, request, out), out, json)
    elif data is not None:
        _show(_model(model, data, request, out), out, json)


class _Request(NamedTuple):
    """The options, as ``unmix.evaluation`` takes them."""

    tracks: tuple[str | None, list[str], list[str]]
    """Split, patterns to include, patterns to exclude."""
    model: dict[str, Any]
    """Options for models alone."""
    options: dict[str, Any]

    def dataset(self, where: str) -> Dataset:
        """Return the data set, with the requested tracks only."""
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
    """Refuse options that exclude each other: none is ignored silently."""
    given = estimates is not None or references is not None
    if compare is not None:
        if given or model != "default":
            raise typer.BadParameter("--compare A B takes no --estimates, --references or --model")
        if out is not None and data is None:
            raise typer.BadParameter("--compare with --out scores two models: add --data")
    elif (estimates is None) is not (references is None):
        raise typer.BadParameter(
            "--estimates needs --references, and --references needs --estimates"
        )
    elif (data is None) is not given:
        raise typer.BadParameter("give either --data, or --estimates and --references")
    elif given and model != "default":
        raise typer.BadParameter("--estimates takes no --model: its stems exist already")


def _model(model: str, data: str, request: _Request, out: Path | None) -> Report:
    from ..evaluation import evaluate as run

    dataset = request.dataset(data)
    with _Progress(f"Scoring {model}") as progress:
        return run(
            model, data=dataset, out=out, progress=progress, **request.model, **request.options
        )


def _estimates(
    estimates: Path, references: str, name: str | None, request: _Request, out: Path | None
) -> Report:
    from ..evaluation import evaluate_estimates

    dataset = request.dataset(references)
    with _Progress(f"Scoring {name or estimates.name}") as progress:
        return evaluate_estimates(
            estimates, references=dataset, name=name, out=out, progress=progress, **request.options
        )


def _compare(
    systems: tuple[str, str], data: str | None, request: _Request, out: Path | None, json: bool
) -> None:
    from ..evaluation import compare_reports, load_report
    from ..evaluation.report.comparison import comparison_as_dict
    from ..evaluation.report.results import save_comparison

    reports = []
    for letter, system in zip("AB", systems, strict=True):
        if data is None or Path(system, "scores.json").is_file():
            reports.append(load_report(Path(system)))
        else:
            reports.append(_model(system, data, request, None if out is None else out / letter))
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
            f"{len(singular)} of {len(report.tracks)} tracks have references without high "
            "frequencies (once lossy or resampled): their ISR, SIR and SAR are unreliable; save "
            "the references with 16 bits"
        )
    if out is not None:
        notes().print(f"Wrote {out / 'index.html'}", soft_wrap=True, highlight=False)


class _Progress:
    """A progress bar, on terminals only."""

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
            TextColumn("remaining:"),
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
