"""Names and order of stems."""

from __future__ import annotations

from collections.abc import Collection, Iterable

VOCALS = "vocals"
ACCOMPANIMENT = "accompaniment"
#: MUSDB18's stems other than the vocals: their sum is the accompaniment.
INSTRUMENTS = ("drums", "bass", "other")
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
