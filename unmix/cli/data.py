"""``unmix data``: list, pack and verify folders of tracks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import _options as options
from ._console import (
    INTERRUPTED,
    clock,
    notes,
    print_json,
    results,
    say_error,
    say_warning,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..data import Contents

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)


class LayoutName(StrEnum):
    """Layouts of a corpus that ``--format`` accepts."""

    AUTO = "auto"
    STEMS = "stems"
    MUSDB18 = "musdb18"
    CCMIXTER = "ccmixter"
    DSD100 = "dsd100"
    MIR_1K = "mir-1k"
    IKALA = "ikala"
    PACKED = "packed"


_Source = Annotated[Path, typer.Argument(metavar="SRC", help="Folder of tracks.")]
_Format = Annotated[
    LayoutName, typer.Option(metavar="NAME", help=f"Layout: {', '.join(LayoutName)}.")
]
_Single = Annotated[
    str | None,
    typer.Option(metavar="STEM", help="Treat every file as a track with this stem only."),
]
_Include = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Use only tracks or paths that match. Repeatable."),
]
_Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Leave out tracks or paths that match. Repeatable."),
]


@app.callback()
def data() -> None:
    """List, pack and verify folders of tracks for training."""


def list_(
    source: _Source,
    format: _Format = LayoutName.AUTO,  # noqa: A002  (the option's name)
    single: _Single = None,
    include: _Include = None,
    exclude: _Exclude = None,
    check: Annotated[
        bool, typer.Option("--check", help="Decode every file; report damaged and silent ones.")
    ] = False,
    json: options.JsonOption = False,
) -> None:
    """List the tracks in a folder, their stems and lengths, and the files that are skipped.

    A stem in brackets has no file; it is computed from the others.
    """
    from ..data.folders import Skipped, check_tracks

    contents = _read(source, format, single, include, exclude)
    faults: list[Skipped] = []
    if check:
        with _progress("Decoding") as progress:
            faults = list(check_tracks(contents.tracks, progress))
    if json:
        print_json(_document(contents, faults))
    else:
        _print(contents)
        _warn(contents)
        for it in faults:
            say_warning(f"{it.stem}: {it.reason}")
    raise typer.Exit(int(bool(faults)))


def pack(
    source: _Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to create.")],
    format: _Format = LayoutName.AUTO,  # noqa: A002  (the option's name)
    single: _Single = None,
    include: _Include = None,
    exclude: _Exclude = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail on a damaged file instead of skipping it.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read everything back and compare it with the source.")
    ] = False,
) -> None:
    """Pack a corpus into 16-bit shards, which training reads without decoding.

    Recipes use OUT like any other corpus. To continue after an interruption, run the same command
    again.
    """
    from ..data import pack as pack_contents

    contents = _read(source, format, single, include, exclude, strict=strict)
    try:
        with _progress("Packing") as progress:
            _warn(contents, skipped=False)
            index = pack_contents(contents, out, strict=strict, verify=verify, progress=progress)
    except KeyboardInterrupt:
        notes().print("Interrupted: run the same command again to continue.")
        raise typer.Exit(INTERRUPTED) from None
    for it in index.skipped:
        say_warning(f"{it.stem} skipped: {it.reason}")
    size = sum(shard.size for shard in index.shards.values())
    notes().print(
        f"Packed: {len(index.tracks)} tracks, {size / 1e6:.0f} MB in {len(index.shards)} shards, "
        f"{len(index.skipped)} stems skipped"
    )
    results().print(out)


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a packed corpus.")],
) -> None:
    """Check the shards of a packed corpus against their SHA-256."""
    from ..data import verify_packed

    failed = False
    for shard, fault in verify_packed(folder):
        if fault:
            failed = True
            say_error(fault)
        else:
            results().print(f"{shard}: ok")
    raise typer.Exit(int(failed))


def _read(
    source: Path,
    layout: LayoutName,
    single: str | None,
    include: list[str] | None,
    exclude: list[str] | None,
    *,
    strict: bool = False,
) -> Contents:
    from ..data import CorpusConfig, open_corpus

    config = CorpusConfig(
        path=".",
        format=layout.value,
        single=single,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        strict=strict,
    )
    return open_corpus(config, source).contents


def _print(contents: Contents) -> None:
    from rich.table import Table

    table = Table(title=f"layout {contents.format}", title_justify="left")
    for column, justify in (("track", "left"), ("stems", "left"), ("length", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for track in contents.tracks:
        derived = [f"({stem})" for stem in track.derived]
        table.add_row(visible(track.name), " ".join([*track.stems, *derived]), clock(track.seconds))
    results().print(table, soft_wrap=False)
    minutes = _minutes(contents)
    unused = len({it.path for it in contents.skipped}) + len(contents.left_out)
    results().print(
        f"{len(contents.tracks)} tracks, {unused} files skipped; minutes: "
        + ", ".join(f"{stem} {value:.1f}" for stem, value in minutes.items())
    )


def _warn(contents: Contents, *, skipped: bool = True) -> None:
    """Name the stems that are skipped and the files that are left out."""
    from ..data.left_out import sentences

    for it in contents.skipped if skipped else ():
        say_warning(f"{it.stem} skipped: {it.reason}")
    for sentence in sentences(contents.left_out):
        say_warning(sentence)


def _minutes(contents: Contents) -> dict[str, float]:
    """Return how many minutes of each stem the files hold."""
    minutes: dict[str, float] = {}
    for track in contents.tracks:
        for stem, file in track.stems.items():
            minutes[stem] = minutes.get(stem, 0.0) + file.seconds / 60
    return minutes


def _document(contents: Contents, faults: list[Any]) -> dict[str, object]:
    return {
        "format": contents.format,
        "minutes": {stem: round(value, 3) for stem, value in _minutes(contents).items()},
        "tracks": [
            {
                "name": track.name,
                "seconds": round(track.seconds, 3),
                "stems": list(track.stems),
                "derived": list(track.derived),
            }
            for track in contents.tracks
        ],
        "skipped": [_entry(it) for it in contents.skipped],
        "left_out": [{"path": str(it.path), "reason": it.reason} for it in contents.left_out],
        "faults": [_entry(it) for it in faults],
    }


def _entry(skipped: Any) -> dict[str, str]:
    return {"path": str(skipped.path), "stem": skipped.stem, "reason": skipped.reason}


@contextmanager
def _progress(verb: str) -> Iterator[Callable[[float, str], None]]:
    """Show a progress bar, if standard error is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = notes()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("left  {task.fields[track]}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(verb, total=1.0, track="")
        yield lambda fraction, track: bar.update(task, completed=fraction, track=track)
