"""Names and order of stems, and what sums to the accompaniment."""

from __future__ import annotations

from collections.abc import Iterable

VOCALS = "vocals"
ACCOMPANIMENT = "accompaniment"
#: MUSDB18's stems other than the vocals: their sum is the accompaniment.
INSTRUMENTS = ("drums", "bass", "other")
#: Order in which stems are listed, written and stacked, whatever order a model or folder has.
ORDER = (VOCALS, ACCOMPANIMENT, *INSTRUMENTS)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in the usual order; unknown names follow alphabetically."""
    position = {name: rank for rank, name in enumerate(ORDER)}
    return tuple(sorted(names, key=lambda name: (position.get(name, len(ORDER)), name)))
