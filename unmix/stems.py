"""Names and order of stems, and what sums to the accompaniment."""

from __future__ import annotations

from collections.abc import Collection, Iterable

VOCALS = "vocals"
ACCOMPANIMENT = "accompaniment"
#: MUSDB18's stems other than the vocals: their sum is the accompaniment.
INSTRUMENTS = ("drums", "bass", "other")
#: What remains of a mixture after all estimates of a model that does not estimate vocals.
RESIDUAL = "residual"
#: Order in which stems are listed, written and stacked, whatever order a model or folder has.
ORDER = (VOCALS, ACCOMPANIMENT, *INSTRUMENTS)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in the usual order; unknown names follow alphabetically."""
    position = {name: rank for rank, name in enumerate(ORDER)}
    return tuple(sorted(names, key=lambda name: (position.get(name, len(ORDER)), name)))


def completed(estimates: Collection[str]) -> tuple[str, ...]:
    """Return the stems that a recording is split into: a model's estimates, and what remains."""
    return in_order({*estimates, remainder_name(estimates)})


def remainder_name(estimates: Collection[str]) -> str:
    """Return the name of what is the mixture minus the estimates, so that the stems sum to it.

    It is the accompaniment, even of a model with an estimate of its own, which does not count: the
    sum is exact, and holds what the model cannot see.
    """
    if VOCALS in estimates:
        return ACCOMPANIMENT
    return VOCALS if ACCOMPANIMENT in estimates else RESIDUAL
