"""Facts about MUSDB18: the order of streams in a file, and the validation tracks."""

from __future__ import annotations

from collections.abc import Iterable

from ..stems import MIXTURE

#: The stems of a ``.stem.mp4`` file, in the order of its audio streams.
STREAMS = (MIXTURE, "drums", "bass", "other", "vocals")

#: Fourteen of the hundred training tracks, held out for validation by the ``musdb`` package.
VALIDATION_TRACKS = (
    "ANiMAL - Rockshow",
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
)
#: Pattern that stands for all of them.
VALIDATION = "musdb18:validation"


def expand(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return patterns, with ``VALIDATION`` replaced by those of the validation tracks."""
    expanded: list[str] = []
    for pattern in patterns:
        if pattern == VALIDATION:
            expanded += (f"*{name}" for name in VALIDATION_TRACKS)
        else:
            expanded.append(pattern)
    return tuple(expanded)
