"""What ``unmix models`` prints: a line per model, or with ``--all`` tables of all that is known."""

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
#: Dataset, split and metric of the one score in a model's line; others are starred.
_MEASURE = ("MUSDB18-7", "test", "SDR (museval, 1 s frames)")
#: Explains the scores below the lines.
LEGEND = """SDR of the vocals in dB on the test songs of MUSDB18-7 (museval, medians).
* On other data, or by another metric: see unmix models --all."""
#: What licences say, and what a line calls it; the first that fits.
_TERMS = {
    "non-commercial": "non-commercial",
    "not stated": "not stated",
    "none is stated": "not stated",
    "none:": "none",
    "MIT": "MIT",
}
_WIDEST = {"stems": 21, "licence": 14}


@dataclass(frozen=True)
class Listing:
    """One model, wherever it is."""

    name: str
    aliases: tuple[str, ...]
    """Other names to choose it by, ``default`` first."""
    where: str
    """``package``, ``cache``, ``download`` or ``by hand``."""
    architecture: str
    """Its architecture, or its recipe if it is not on this machine."""
    purpose: str
    """What it is for, in a few words; empty if not known."""
    stems: tuple[str, ...]
    """What a recording is split into."""
    sample_rate: int
    """Hz."""
    size: int | None
    """Bytes of its weights or of the download; None if not known."""
    licence: str
    scores: Sequence[Score]
    more: dict[str, Any]
    """The other fields of its JSON document."""

    @property
    def here(self) -> bool:
        """Whether it is on this machine."""
        return self.where in (PACKAGE, CACHE)

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**self.more, "where": self.where, "default": self.aliases[:1] == ("default",)}


def listings() -> tuple[list[Listing], list[str]]:
    """Return all models, and a sentence for every damaged file in the cache."""
    from ..errors import ModelError
    from ..weights.cache import cached_names, read_cached
    from ..weights.manifest import DEFAULT, list_models, list_published

    listed = [
        _listed(
            entry,
            PACKAGE,
            entry.architecture,
            aliases=entry.aliases if rank else (DEFAULT, *entry.aliases),
            purpose=entry.purpose,
        )
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
    entry: ModelEntry | PublishedModel,
    where: str,
    architecture: str,
    aliases: tuple[str, ...] = (),
    purpose: str = "",
) -> Listing:
    """Return what a manifest says of a model."""
    return Listing(
        name=entry.name,
        aliases=aliases,
        where=where,
        architecture=architecture,
        purpose=purpose,
        stems=entry.stems,
        sample_rate=entry.sample_rate,
        size=entry.size,
        licence=entry.licence,
        scores=entry.scores,
        more=entry.model_dump(mode="json"),
    )


def _cached(model: CachedModel, entry: PublishedModel | None) -> Listing:
    from ..stems import with_residual

    # A user's own weights may have the name of a published model.
    own = entry if entry and model.origin == entry.url else None
    stems = with_residual(model.stems)
    return Listing(
        name=model.name,
        aliases=(),
        where=CACHE,
        architecture=model.architecture,
        purpose="",
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


def lines(listed: Sequence[Listing]) -> list[Table]:
    """Return a table for each place, with a line of at most 80 columns for each model."""
    from rich.table import Table

    made = []
    for where, title in _TITLES.items():
        here = [listing for listing in listed if listing.where == where]
        purposes = any(listing.purpose for listing in here)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
        table.title, table.title_justify, table.title_style = title, "left", "bold"
        for name in ("name", "stems", *(("for",) if purposes else ()), "SDR", "MB", "licence"):
            justify: JustifyMethod = "right" if name in ("SDR", "MB") else "left"
            table.add_column(name, justify=justify, no_wrap=True, header_style="dim")
        for listing in here:
            table.add_row(
                next(iter(listing.aliases), listing.name),
                _short_stems(listing.stems),
                *((listing.purpose,) if purposes else ()),
                _one_score(listing.scores),
                _megabytes(listing.size),
                _short_licence(listing.licence),
            )
        if here:
            made.append(table)
    return made


def _short_stems(stems: tuple[str, ...]) -> str:
    from ..stems import ACCOMPANIMENT

    whole = ", ".join(stems)
    short = f"{len(set(stems) - {ACCOMPANIMENT})} stems"
    return whole if len(whole) <= _WIDEST["stems"] else short


def _one_score(scores: Sequence[Score]) -> str:
    """Return the score of the vocals on a test split, in dB; starred if it compares with none."""

    def subject(score: Score) -> tuple[str, str, str]:
        return score.dataset, score.split, score.metric

    ranked = sorted(
        (score for score in scores if score.stem == "vocals"),
        key=lambda score: (subject(score) != _MEASURE, not score.split.startswith("test")),
    )
    if not ranked:
        return ""
    return f"{'' if subject(ranked[0]) == _MEASURE else '*'}{ranked[0].value:.2f}"


def _megabytes(size: int | None) -> str:
    if size is None:
        return ""
    return f"{size / 1e6:.0f}" if size >= 100e6 else f"{size / 1e6:.1f}"


def _short_licence(licence: str) -> str:
    for words, short in _TERMS.items():
        if words in licence:
            return short
    return licence if len(licence) <= _WIDEST["licence"] else f"{licence[:11]}..."


def tables(listed: Sequence[Listing]) -> list[Table]:
    """Return tables for each place: the models, their licences, and all their scores."""
    made = []
    for where, title in _TITLES.items():
        here = [listing for listing in listed if listing.where == where]
        if here:
            made += [_models(here, title), _licences(here)]
            if any(listing.scores for listing in here):
                made.append(_scores(here))
    return made


def _models(listed: Sequence[Listing], title: str) -> Table:
    table = _table("model", "stems", "rate", "size", title=title)
    for listing in listed:
        table.add_row(
            " ".join([listing.name, *(f"({alias})" for alias in listing.aliases)]),
            ", ".join(listing.stems),
            f"{listing.sample_rate / 1000:g} kHz",
            f"{_megabytes(listing.size)} MB" if listing.size else "unknown",
        )
    return table


def _licences(listed: Sequence[Listing]) -> Table:
    table = _table("model", "architecture", "licence of the weights")
    for listing in listed:
        table.add_row(listing.name, listing.architecture, listing.licence)
    return table


def _scores(listed: Sequence[Listing]) -> Table:
    """Return a row for each dataset, split and metric that a model was measured with."""
    from ..stems import in_order

    table = _table("model", "measured on", "metric and source", "dB")
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
