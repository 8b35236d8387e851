"""``unmix models``: list, download, import and check models."""

from __future__ import annotations

import inspect
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ModelError, UnmixError
from . import _options as options
from ._console import INTERRUPTED, notes, print_json, results, say_error, say_warning

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})

_AllOption = Annotated[
    bool, typer.Option("--all", "-a", help="Show every name, licence and score.")
]

_MORE = "More: unmix models --all (names, licences, scores), unmix models architectures."


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context, everything: _AllOption = False, json: options.JsonOption = False
) -> None:
    """List, download, import and check models.

    Without a command, list them.
    """
    if context.invoked_subcommand is None:
        list_(everything, json)


def list_(everything: _AllOption = False, json: options.JsonOption = False) -> None:
    """List the models on this machine and those you can download, one line each.

    --json leaves out models that are not on this machine, unless --all is given.
    """
    from ._listing import LEGEND, lines, listings, tables

    listed, damaged = listings()
    for sentence in damaged:
        say_warning(sentence)
    if json:
        shown = [listing for listing in listed if everything or listing.here]
        print_json({"models": [listing.document() for listing in shown]})
        return
    if not any(listing.here for listing in listed):
        notes().print("There is no model on this machine.")
    for table in tables(listed) if everything else lines(listed):
        results().print(table, soft_wrap=False)
        results().print()
    if not everything:
        results().print(LEGEND)
        notes().print(_MORE)


def download(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Models to download; unmix models lists them."),
    ],
) -> None:
    """Download models that others published into the cache.

    Models that are in the cache are not downloaded again. To resume an interrupted download, run
    the same command again.
    """
    from ..weights.cache import in_cache
    from ..weights.download import download as fetch_model

    failed = False
    for number, name in enumerate(names, 1):
        there = in_cache(name)
        try:
            with _Bar(name) as bar:
                path = fetch_model(name, progress=bar.move, then=names[number:])
        except KeyboardInterrupt:
            notes().print("Interrupted. Run the same command again to resume.")
            raise typer.Exit(INTERRUPTED) from None
        except UnmixError as error:
            failed = True
            say_error(str(error))
            continue
        results().print(path)
        if there and not bar.moved:
            notes().print(f"{name}: already downloaded")
        else:
            notes().print(
                f"{name}: downloaded and converted. Use it: unmix separate SONG --model {name}"
            )
    raise typer.Exit(int(failed))


def path(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model on this machine.")],
) -> None:
    """Print the path of a model's weights."""
    from ..weights.manifest import find_model, find_weights

    found = find_weights(name)
    if found is None:
        find_model(name)
    else:
        results().print(found.path)


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Models to check; default: all on this machine."),
    ] = None,
) -> None:
    """Check the weights on this machine against their recorded sha256."""
    from ..storage import sha256_of
    from ..weights.cache import cached_names
    from ..weights.manifest import find_model, find_weights, list_models

    failed = False
    for name in names or [*(entry.name for entry in list_models()), *cached_names()]:
        try:
            found = find_weights(name)
            if found is None:
                find_model(name)
                continue
            if not found.path.is_file():
                raise ModelError(f"{found.path}: missing; {found.remedy}")
            digest = sha256_of(found.path)
            if found.sha256 and digest != found.sha256:
                raise ModelError(
                    f"{found.path}: damaged: expected sha256 {found.sha256}, found {digest}; "
                    f"{found.remedy}"
                )
        except UnmixError as error:
            failed = True
            say_error(str(error))
            continue
        if found.sha256:
            results().print(f"{found.name}: ok")
        else:
            say_warning(f"{found.name}: no recorded sha256 to compare with; found {digest}")
    raise typer.Exit(int(failed))


def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Weights from another program, or an archive of them."),
    ],
    as_: Annotated[
        str,
        typer.Option(
            "--as", metavar="NAME", help="A published model or a recipe that fits the weights."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name in the cache.", show_default="that of --as"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="File to write.", show_default="in the cache"
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Licence of the weights.", show_default="unknown"),
    ] = None,
    stems: Annotated[
        str, typer.Option(metavar="NAMES", help="Stems of the model, comma-separated, in order.")
    ] = "",
    overwrite: options.OverwriteOption = False,
) -> None:
    """Convert weights that others trained.

    Reads checkpoints of TensorFlow, PyTorch and Chainer without running code in them, for the
    architectures that unmix models architectures lists. Every tensor has to fit.
    """
    from ..stems import with_residual
    from ..weights.install import import_model

    if name and out:
        raise typer.BadParameter("--name, a name in the cache, and --out cannot be used together")
    done = import_model(
        file,
        as_,
        name=name,
        out=out,
        licence=licence,
        stems=[stem.strip() for stem in stems.split(",") if stem.strip()],
        overwrite=overwrite,
    )
    results().print(done.path)
    for title, value in (
        ("architecture", done.architecture),
        ("stems", ", ".join(with_residual(done.stems))),
        ("parameters", f"{done.parameters:,}"),
        ("sha256", done.sha256),
        ("use it", f"unmix separate SONG --model {out or done.path.parent.name}"),
    ):
        notes().print(f"{title}: {value}")


def architectures(json: options.JsonOption = False) -> None:
    """List the architectures with their papers and recipes."""
    from ..models import config_type, names
    from ..recipes.reading import read_recipe_tables, recipes

    using: dict[str, list[str]] = {}
    for recipe, file in recipes().items():
        using.setdefault(read_recipe_tables(file)["architecture"], []).append(recipe)
    listed = [
        {"name": name, "about": _about(config_type(name)), "recipes": using.get(name, [])}
        for name in names()
    ]
    if json:
        print_json({"architectures": listed})
        return
    for entry in listed:
        results().print(f"{entry['name']}: {entry['about']}")
        results().print(f"  recipes: {', '.join(entry['recipes']) or 'none'}")


def _about(kind: type) -> str:
    """Return the first sentence of a model's module, which names the paper."""
    first, _, _ = (inspect.getdoc(sys.modules[kind.__module__]) or "").partition("\n\n")
    return " ".join(first.split())


class _Bar:
    """Shows the progress of a download on a terminal, and nothing elsewhere."""

    def __init__(self, name: str) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        console = notes()
        self.moved = False
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._shown = self._progress if console.is_terminal else nullcontext()
        self._task = self._progress.add_task(name, total=None)

    def __enter__(self) -> _Bar:
        self._shown.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.__exit__(None, None, None)

    def move(self, done: int, total: int | None) -> None:
        """Show the bytes downloaded and the bytes in all."""
        self.moved = True
        self._progress.update(self._task, completed=done, total=total)
        if done == total:
            self._progress.update(self._task, description="converting")
