"""``unmix models``: what there is to separate with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ._console import notes, print_json, results

if TYPE_CHECKING:
    from rich.console import JustifyMethod
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
        for table in (_models(entries), _scores(entries)):
            results().print(table, soft_wrap=False)
    else:
        notes().print("This copy of unmix ships no model: name a file of weights with --model.")


def _models(entries: list[ModelEntry]) -> Table:
    table = _table("model", "stems", "rate", "size", "licence")
    for rank, entry in enumerate(entries):
        table.add_row(
            f"{entry.name} (default)" if rank == 0 else entry.name,
            ", ".join(entry.stems),
            f"{entry.sample_rate / 1000:g} kHz",
            f"{entry.size / 1e6:.1f} MB",
            entry.licence,
        )
    return table


def _scores(entries: list[ModelEntry]) -> Table:
    """Return a row for every way in which a model was measured, and a column for every stem."""
    from ..stems import in_order

    stems = in_order({score.stem for entry in entries for score in entry.scores})
    table = _table("model", "measured on", "score (dB)", *stems)
    for entry in entries:
        rows: dict[tuple[str, str], dict[str, float]] = {}
        for score in entry.scores:
            way = f"{score.dataset}/{score.split}", f"{score.metric}, {score.aggregation}"
            rows.setdefault(way, {})[score.stem] = score.value
        for way, values in rows.items():
            table.add_row(
                entry.name, *way, *(f"{values[s]:.2f}" if s in values else "" for s in stems)
            )
    return table


def _table(*names: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    texts = ("model", "stems", "licence", "measured on", "score (dB)")
    for name in names:
        justify: JustifyMethod = "left" if name in texts else "right"
        table.add_column(name, justify=justify, no_wrap=name == "model")
    return table
