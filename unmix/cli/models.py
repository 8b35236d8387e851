"""``unmix models``: what there is to separate with, and how more comes onto this machine."""

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
    bool, typer.Option("--all", "-a", help="Sizes, licences, scores of those to download, too.")
]

_MORE = "More: unmix models --all (licences, scores); unmix models architectures (networks)."


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    everything: _AllOption = False,
    json: options.JsonOption = False,
) -> None:
    """List the models that there are, download and import those of others, and check them.

    Without a command: list. The first model is the default.
    """
    if context.invoked_subcommand is None:
        list_(everything, json)


def list_(everything: _AllOption = False, json: options.JsonOption = False) -> None:
    """List the models of the package and in the cache, with their scores and licences.

    Below them stand the names of those that can be downloaded; --json has these with --all only.
    """
    from ._listing import listings, outline, tables

    listed, damaged = listings()
    for sentence in damaged:
        say_warning(sentence)
    told = [listing for listing in listed if everything or listing.here]
    if json:
        print_json({"models": [listing.document() for listing in told]})
        return
    if not any(listing.here for listing in listed):
        notes().print("There is no model on this machine.")
    shown = tables(told)
    if len(told) < len(listed):
        shown.append(outline([listing for listing in listed if listing not in told]))
    for table in shown:
        results().print(table, soft_wrap=False)
    if not everything:
        notes().print(_MORE)


def download(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="See unmix models --all.")],
) -> None:
    """Download models that others published, into the cache.

    What is there already is left as it is. Interrupted or cut off, the same command goes on from
    there.
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
            notes().print("Interrupted: the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        except UnmixError as error:
            failed = True
            say_error(str(error))
            continue
        results().print(path)
        if there and not bar.moved:
            notes().print(f"{name}: there already")
        else:
            notes().print(
                f"{name}: downloaded and converted; the download itself is removed. "
                f"Use it: unmix separate SONG --model {name}"
            )
    raise typer.Exit(int(failed))


def path(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a model on this machine.")],
) -> None:
    """Print where the weights of a model are."""
    from ..weights.manifest import find_model, find_weights

    found = find_weights(name)
    if found is None:
        find_model(name)
    else:
        results().print(found.path)


def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="All, where none is given.")
    ] = None,
) -> None:
    """Check that the weights on this machine are what was put there, by their sha256."""
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
                    f"{found.path}: damaged: expected the sha256 {found.sha256}, found {digest}; "
                    f"{found.remedy}"
                )
        except UnmixError as error:
            failed = True
            say_error(str(error))
            continue
        if found.sha256:
            results().print(f"{found.name}: as it should be")
        else:
            say_warning(f"{found.name}: no sha256 is on record; found {digest}")
    raise typer.Exit(int(failed))


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Foreign weights, or an archive with them.")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--as", metavar="NAME", help="A published model or a recipe; see architectures."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call the model.", show_default="as --as"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write here.", show_default="into the cache"
        ),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Of the weights.", show_default="unknown")
    ] = None,
    stems: Annotated[
        str, typer.Option(metavar="NAMES", help="That it estimates, with commas, in its order.")
    ] = "",
    overwrite: options.OverwriteOption = False,
) -> None:
    """Bring weights that others trained into this package's form.

    Known are checkpoints of TensorFlow, PyTorch and Chainer for the architectures that unmix models
    architectures lists. No code in the file is run. Every tensor must find its place.
    """
    from ..stems import completed
    from ..weights.install import import_model

    if name and out:
        raise typer.BadParameter("--name is for the cache: it and --out exclude each other")
    done = import_model(
        file,
        form,
        name=name,
        out=out,
        licence=licence,
        stems=[stem.strip() for stem in stems.split(",") if stem.strip()],
        overwrite=overwrite,
    )
    results().print(done.path)
    for title, value in (
        ("architecture", done.architecture),
        ("stems", ", ".join(completed(done.stems))),
        ("parameters", f"{done.parameters:,}"),
        ("sha256", done.sha256),
        ("use it", f"unmix separate SONG --model {out or done.path.parent.name}"),
    ):
        notes().print(f"{title}: {value}")


def architectures(json: options.JsonOption = False) -> None:
    """List the kinds of networks that there are, their papers and their recipes."""
    from ..models import config_type, names
    from ..recipes.reading import read_recipe_tables, recipes

    forms: dict[str, list[str]] = {}
    for recipe, file in recipes().items():
        forms.setdefault(read_recipe_tables(file)["architecture"], []).append(recipe)
    listed = [
        {"name": name, "about": _about(config_type(name)), "recipes": forms.get(name, [])}
        for name in names()
    ]
    if json:
        print_json({"architectures": listed})
        return
    for entry in listed:
        results().print(f"{entry['name']}: {entry['about']}")
        results().print(f"  recipes: {', '.join(entry['recipes']) or 'none'}")


def _about(kind: type) -> str:
    """Return how the file of a class begins: with the architecture and its paper."""
    first, _, _ = (inspect.getdoc(sys.modules[kind.__module__]) or "").partition("\n\n")
    return " ".join(first.split())


class _Bar:
    """Shows how much of a file is here, on a terminal; elsewhere nothing."""

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
        """Show the bytes that are here, and those of the file."""
        self.moved = True
        self._progress.update(self._task, completed=done, total=total)
        if done == total:
            self._progress.update(self._task, description="converting")
