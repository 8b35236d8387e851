"""Names and order of stems, and what a name such as ``no_drums`` asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._types import Samples

MIXTURE = "mixture"
VOCALS = "vocals"
ACCOMPANIMENT = "accompaniment"
#: MUSDB18's stems other than the vocals: their sum is the accompaniment.
INSTRUMENTS = ("drums", "bass", "other")
#: The four stems of MUSDB18, which sum to the mixture.
ALL_FOUR = (VOCALS, *INSTRUMENTS)
#: Other words for a stem.
SYNONYMS = {"instrumental": ACCOMPANIMENT, "no_vocals": ACCOMPANIMENT, "no_accompaniment": VOCALS}
#: Before the name of a stem: everything but that stem.
WITHOUT = "no_"
#: Name of the residual of a model that estimates neither vocals nor accompaniment.
RESIDUAL = "residual"
#: The order in which stems are listed, written and stacked.
ORDER = (VOCALS, ACCOMPANIMENT, *INSTRUMENTS)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in the order of ``ORDER``; other names follow alphabetically."""
    position = {name: rank for rank, name in enumerate(ORDER)}
    return tuple(sorted(names, key=lambda name: (position.get(name, len(ORDER)), name)))


def with_residual(estimates: Collection[str]) -> tuple[str, ...]:
    """Return the stems of a recording: those that a model estimates, and the residual."""
    return in_order({*estimates, residual_name(estimates)})


def residual_name(estimates: Collection[str]) -> str:
    """Return the name of the residual: the mixture minus the estimates.

    With vocals, the residual is the accompaniment. It replaces a model's own estimate of the
    accompaniment: vocals and accompaniment then sum to the mixture exactly.
    """
    if VOCALS in estimates:
        return ACCOMPANIMENT
    return VOCALS if ACCOMPANIMENT in estimates else RESIDUAL


def needed(name: str) -> str:
    """Return the stem that must be known to give ``name``: drums for ``no_drums``."""
    return SYNONYMS.get(name) or name.removeprefix(WITHOUT)


def mixture_of(stems: Mapping[str, Samples]) -> Samples:
    """Return the mixture ``[C, n]`` of all stems of a recording, residual included."""
    if VOCALS in stems:
        return stems[VOCALS] + stems[ACCOMPANIMENT]
    return sum(stems.values(), start=next(iter(stems.values())) * 0)


def pick(stems: Mapping[str, Samples], name: str) -> Samples:
    """Return what a name asks for, ``[C, n]``.

    Args:
        stems: all stems of a recording, residual included.
        name: a stem, another word for one, or ``no_`` before one for everything else.

    Raises:
        KeyError: there is no such stem.
    """
    own = SYNONYMS.get(name, name)
    if own in stems or not own.startswith(WITHOUT):
        return stems[own]
    return mixture_of(stems) - stems[needed(name)]
