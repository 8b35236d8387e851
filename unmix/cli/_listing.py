"""What ``unmix models`` lists: models of the package, in the cache and on the net, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.table import Table

    from ..weights.cache import CachedModel
    from ..weights.manifest import ModelEntry, PublishedModel, Score

PACKAGE, CACHE, NET, HAND = "package", "cache", "download", "by hand"
_TITLES = {
    PACKAGE: "In the package",
    CACHE: "In the cache",
    NET: "To download: unmix models download NAME",
    HAND: "To fetch by hand: unmix models download NAME says how",
}


@dataclass(frozen=True)
class Listing:
    """One model, wherever it is."""

    name: str
    where: str
    """``package``, ``cache``, ``download`` or ``by hand``."""
    default: bool
    form: str
    """Its architecture; or its recipe, where it is still to be fetched."""
    stems: tuple[str, ...]
    """What a recording is split into."""
    sample_rate: int
    """Hz."""
    size: int | None
    """Bytes, of what is here or to be downloaded; None where that is not known."""
    licence: str
    scores: Sequence[Score]
    more: dict[str, Any]
    """What else stands in its JSON document."""

    @property
    def here(self) -> bool:
        """Whether it is on this machine."""
        return self.where in (PACKAGE, CACHE)

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**self.more, "where": self.where, "default": self.default}


def listings() -> tuple[list[Listing], list[str]]:
    """Return what there is, and a sentence for every file in the cache that is damaged."""
    from ..errors import ModelError
    from ..weights.cache import cached_names, read_cached
    from ..weights.manifest import list_models, list_published

    listed = [
        _listed(entry, PACKAGE, entry.architecture, default=rank == 0)
        for rank, entry in enumerate(list_models())
    ]
    published = {entry.name: entry for entry in list_published()}
    damaged = []
    here = cached_names()
    for name in here:
        try:
            listed.append(_cached(read_cached(name), published.get(name)))
        except ModelError as error:
            damaged.append(str(error))
    away = [
        _listed(entry, HAND if entry.by_hand else NET, entry.recipe)
        for name, entry in published.items()
        if name not in here
    ]
    return listed + sorted(away, key=lambda listing: listing.where == HAND), damaged


def _listed(
    entry: ModelEntry | PublishedModel, where: str, form: str, default: bool = False
) -> Listing:
    """Return what a manifest says of a model."""
    return Listing(
        name=entry.name,
        where=where,
        default=default,
        form=form,
        stems=entry.stems,
        sample_rate=entry.sample_rate,
        size=entry.size,
        licence=entry.licence,
        scores=entry.scores,
        more=entry.model_dump(mode="json"),
    )


def _cached(model: CachedModel, entry: PublishedModel | None) -> Listing:
    from ..stems import with_residual

    # Weights of a user's own may have the name of a published model.
    own = entry if entry and model.origin == entry.url else None
    stems = with_residual(model.stems)
    return Listing(
        name=model.name,
        where=CACHE,
        default=False,
        form=model.architecture,
        stems=stems,
        sample_rate=model.sample_rate,
        size=model.size,
        licence=model.licence,
        scores=own.scores if own else (),
        more=(own.model_dump(mode="json") if own else {})
        | {
            "name": model.name,
            "architecture": model.architecture,
            "stems": list(stems),
            "sample_rate": model.sample_rate,
            "audio_channels": model.audio_channels,
            "size": model.size,
            "licence": model.licence,
            "origin": model.origin,
            "path": str(model.path),
        },
    )


def tables(listed: Sequence[Listing]) -> list[Table]:
    """Return the tables of what is in each place: what it does, whose it is, how well it does."""
    made = []
    for where, title in _TITLES.items():
        here = [listing for listing in listed if listing.where == where]
        if here:
            made += [_models(here, title), _licences(here)]
            if any(listing.scores for listing in here):
                made.append(_scores(here))
    return made


def outline(listed: Sequence[Listing]) -> Table:
    """Return the table of what is not on this machine: little more than the names."""
    table = _table("model", "stems", title="To download: unmix models download NAME")
    for listing in listed:
        name = f"{listing.name} (by hand)" if listing.where == HAND else listing.name
        table.add_row(name, ", ".join(listing.stems))
    return table


def _models(listed: Sequence[Listing], title: str) -> Table:
    table = _table("model", "stems", "rate", "size", title=title)
    for listing in listed:
        table.add_row(
            f"{listing.name} (default)" if listing.default else listing.name,
            ", ".join(listing.stems),
            f"{listing.sample_rate / 1000:g} kHz",
            f"{listing.size / 1e6:.1f} MB" if listing.size else "unknown",
        )
    return table


def _licences(listed: Sequence[Listing]) -> Table:
    table = _table("model", "architecture", "licence of the weights")
    for listing in listed:
        table.add_row(listing.name, listing.form, listing.licence)
    return table


def _scores(listed: Sequence[Listing]) -> Table:
    """Return a row for every way in which a model was measured."""
    from ..stems import in_order

    table = _table("model", "measured on", "how, and by whom", "dB")
    for listing in listed:
        rows: dict[tuple[str, str], dict[str, float]] = {}
        for score in listing.scores:
            source = getattr(score, "source", "")
            how = f"{score.metric}, {score.aggregation}" + (f"; {source}" if source else "")
            rows.setdefault((f"{score.dataset}/{score.split}", how), {})[score.stem] = score.value
        for (measured_on, how), values in rows.items():
            decibels = ", ".join(f"{stem} {values[stem]:.2f}" for stem in in_order(values))
            table.add_row(listing.name, measured_on, how, decibels)
    return table


def _table(*names: str, title: str = "") -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title or None, title_justify="left")
    for name in names:
        justify: JustifyMethod = "right" if name in ("rate", "size") else "left"
        table.add_column(name, justify=justify, no_wrap=name == "model")
    return table
