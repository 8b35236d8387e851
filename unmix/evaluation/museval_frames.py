"""BSS Eval's figures by museval itself, of several tracks side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from . import official
from .references import REFERENCE
from .scoring import FIGURES, Estimated, Frames, Settings, bss_sets

Samples = NDArray[np.float32]


def museval_frames(
    queue: Sequence[Estimated], settings: Settings
) -> Iterator[tuple[Estimated, Frames]]:
    """Yield museval's figures of tracks, worked on side by side."""
    if not queue:
        return
    if "bss" not in settings.metrics:
        yield from ((found, {}) for found in queue)
        return
    jobs = {}
    for index, found in enumerate(queue):
        for number, (together, wanted) in enumerate(bss_sets(found.stems)):
            jobs[f"{index}.{number}"] = (found, together, wanted)
    tracks = [
        official.Track(
            name,
            partial(_read, found, together),
            len(together),
            found.references.audio_channels,
            found.references.length,
        )
        for name, (found, together, _) in jobs.items()
    ]
    frames: dict[int, Frames] = {id(found): {} for found in queue}
    rates = {found.references.sample_rate for found in queue}
    for rate in rates:
        group = [t for t in tracks if jobs[t.name][0].references.sample_rate == rate]
        for name, scores in official.museval_tracks(group, settings.options(rate)):
            found, together, wanted = jobs[name]
            for row, stem in enumerate(together):
                if stem in wanted:
                    figures = {figure: getattr(scores, figure.lower())[row] for figure in FIGURES}
                    frames[id(found)][stem] = figures
    for found in queue:
        yield found, {stem: frames[id(found)][stem] for stem in found.stems}


def _read(found: Estimated, stems: Sequence[str]) -> tuple[dict[str, Samples], dict[str, Samples]]:
    """Return estimates and references whole, in a process of museval's."""
    length = found.references.length
    return (
        {stem: found.estimates.read(stem, 0, length) for stem in stems},
        {stem: found.references.read(REFERENCE + stem) for stem in stems},
    )
