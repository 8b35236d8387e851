"""``unmix clean``: remove what runs that were killed have left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Protocol

import typer

from ..errors import UnmixError
from ..storage import cache_folder
from ..storage.hidden import Leftover, State, hidden_in, look, remove
from . import _options as options
from ._console import notes, print_json, results, say_error, say_warning, size_text


class Take(Protocol):
    """Removes something unless its owner lives, and returns what is known of the owner."""

    def __call__(self, path: Path, /, *, unknown: bool) -> State: ...  # noqa: D102


_KEPT = {
    "in use": "kept, as its process is running",
    "unknown": "kept, as nothing tells whether its process is running (it was made on another "
    "machine, by an earlier version, or where files cannot be locked); --unknown removes it",
}


def clean(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER",
            help="Folders to search.",
            show_default="this one, separated/ and the cache",
        ),
    ] = None,
    recursive: options.RecursiveOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only list what would be removed.")
    ] = False,
    unknown: Annotated[
        bool,
        typer.Option(
            "--unknown", help="Also remove what may belong to a process on another machine."
        ),
    ] = False,
    json: options.JsonOption = False,
) -> None:
    """Remove what killed runs have left: hidden folders, packings and unfinished downloads.

    What a running process writes is kept: each holds a lock that ends with it. Results are never
    touched.
    """
    rows: list[dict[str, object]] = []
    for found, take in _found(folders, recursive):
        outcome = _deal_with(found, take, dry_run=dry_run, unknown=unknown)
        rows.append(
            {
                "path": str(found.path),
                "bytes": found.size,
                "state": found.state,
                "outcome": outcome,
            }
        )
        if json:
            continue
        line = f"{size_text(found.size):>9}  {found.path}"
        if outcome == "removed":
            results().print(line)
        elif outcome == "kept":
            say_warning(f"{found.path} ({size_text(found.size)}): {_KEPT[found.state]}")
        else:
            say_error(f"{found.path}: cannot be removed: is it yours?")
    freed = sum(row["bytes"] for row in rows if row["outcome"] == "removed")  # type: ignore[misc]
    if json:
        print_json({"leftovers": rows, "bytes": freed, "dry_run": dry_run})
    else:
        notes().print(f"{size_text(freed)} {'to remove' if dry_run else 'removed'}")
    raise typer.Exit(int(any(row["outcome"] == "failed" for row in rows)))


def _deal_with(found: Leftover, take: Take, *, dry_run: bool, unknown: bool) -> str:
    """Remove something unless its owner lives; return "removed", "kept" or "failed"."""
    if found.state == "in use" or (found.state == "unknown" and not unknown):
        return "kept"
    if dry_run:
        return "removed"
    if take(found.path, unknown=unknown) == "in use":
        return "kept"
    return "failed" if os.path.lexists(found.path) else "removed"


def _found(folders: list[Path] | None, recursive: bool) -> Iterator[tuple[Leftover, Take]]:
    """Yield what is hidden in folders, each once, and what removes it.

    By default, these are the folders that ``unmix`` writes to.

    Raises:
        UnmixError: a folder that was named does not exist.
    """
    from ..weights.download import forget, unfinished  # brings requests

    places = [(folder, -1 if recursive else 0) for folder in folders or ()]
    if not folders:
        places = [(Path(), -1 if recursive else 0), (Path("separated"), -1), (cache_folder(), -1)]
    seen: set[str] = set()
    for folder, depth in places:
        if folders and not folder.is_dir():
            raise UnmixError(f"{folder}: no such folder")
        for path in hidden_in(folder, depth=depth, resumable=True):
            place = os.path.realpath(path)
            if place not in seen:
                seen.add(place)
                yield look(path), remove
    if not folders:
        yield from ((found, forget) for found in unfinished())
