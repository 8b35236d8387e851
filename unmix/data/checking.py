"""Checking a corpus: decode every file to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import AudioError
from .folders import Skipped
from .tracks import SILENCE, StemFile, Track, TrackProgress


def check(
    tracks: Sequence[Track], progress: TrackProgress = lambda fraction, track: None
) -> Iterator[Skipped]:
    """Yield the stems that do not decode to their end, and those that are silent.

    Args:
        tracks: the tracks to decode.
        progress: see ``TrackProgress``.
    """
    total, seconds = sum(track.seconds for track in tracks), 0.0
    for track in tracks:
        progress(seconds / total, track.name)
        for stem, file in track.stems.items():
            if reason := _fault(file):
                yield Skipped(file.path, stem, reason)
        seconds += track.seconds


def _fault(file: StemFile) -> str | None:
    loudest = 0.0
    try:
        for block in file.blocks():
            loudest = max(loudest, float(np.abs(block).max(initial=0)))
    except AudioError as error:
        return str(error)
    return f"{file.path} is silent throughout" if loudest < SILENCE else None
