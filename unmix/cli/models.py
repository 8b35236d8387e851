"""``unmix models``: what there is to separate with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ._console import notes, print_json, results

if TYPE_CHECKING:
    from rich.table import Table

    from ..manifest import ModelEntry


def models(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the models that come with the package; the first is the default."""
    from ..manifest import list_models

    entries = list_models()
    if json:
        listed = [
            {**entry.model_dump(mode="json"), "default": rank == 0}
            for rank, entry in enumerate(entries)
        ]
        print_json({"models": listed})
    elif entries:
        console = results()
        console.print(_table(entries), soft_wrap=False)
    else:
        notes().print("This copy of unmix ships no model: name a file of weights with --model.")


def _table(entries: list[ModelEntry]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("model", "stems", "rate", "size", "scores (dB)", "licence"):
        table.add_column(name, justify="right" if name in ("rate", "size") else "left")
    for rank, entry in enumerate(entries):
        table.add_row(
            f"{entry.name} (default)" if rank == 0 else entry.name,
            ", ".join(entry.stems),
            f"{entry.sample_rate / 1000:g} kHz",
            f"{entry.size / 1e6:.1f} MB",
            "\n".join(_scores(entry)) or "none yet",
            entry.licence,
        )
    return table


def _scores(entry: ModelEntry) -> list[str]:
    """Return a line for every way in which a model was measured."""
    lines: dict[str, list[str]] = {}
    for score in entry.scores:
        way = f"{score.dataset}/{score.split} {score.metric}, {score.aggregation}"
        lines.setdefault(way, []).append(f"{score.stem} {score.value:.2f}")
    return [f"{', '.join(values)} ({way})" for way, values in lines.items()]
