"""BSS Eval's figures by museval itself, of several tracks side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from .._types import Samples
from . import museval_backend as official
from .references import REFERENCE
from .scoring import FIGURES, Estimated, Frames, Settings, bss_sets


def museval_frames(
    queue: Sequence[Estimated], settings: Settings
) -> Iterator[tuple[Estimated, Frames]]:
    """Yield museval's figures of tracks, worked on side by side, each as soon as it is done."""
    jobs = _jobs(queue) if "bss" in settings.metrics else {}
    left = [sum(job.number == number for job in jobs.values()) for number in range(len(queue))]
    frames: list[Frames] = [{} for _ in queue]
    yield from ((queue[number], {}) for number, count in enumerate(left) if not count)
    for rate in dict.fromkeys(found.references.sample_rate for found in queue if jobs):
        tracks = [job.track for job in jobs.values() if job.sample_rate == rate]
        options = settings.options(rate)
        for name, scores in official.museval_tracks(tracks, options):
            job = jobs[name]
            for row, stem in enumerate(job.together):
                if stem in job.wanted:
                    figures = {figure: getattr(scores, figure.lower())[row] for figure in FIGURES}
                    frames[job.number][stem] = figures
            left[job.number] -= 1
            if not left[job.number]:
                yield queue[job.number], frames[job.number]


class _Job(NamedTuple):
    """One set of stems of one track."""

    number: int
    """Of the track."""
    together: tuple[str, ...]
    wanted: tuple[str, ...]
    sample_rate: int
    track: official.Track


def _jobs(queue: Sequence[Estimated]) -> dict[str, _Job]:
    jobs = {}
    for number, found in enumerate(queue):
        for index, (together, wanted) in enumerate(bss_sets(found.context)):
            estimated = tuple(stem for stem in wanted if stem in found.stems)
            if not estimated:
                continue
            name = f"{number}.{index}"
            track = official.Track(
                name=name,
                load=partial(_read, found, together),
                stems=len(together),
                channels=found.references.audio_channels,
                length=found.references.length,
            )
            jobs[name] = _Job(number, together, estimated, found.references.sample_rate, track)
    return jobs


def _read(found: Estimated, stems: Sequence[str]) -> tuple[dict[str, Samples], dict[str, Samples]]:
    """Return estimates and references whole, in a process of museval's."""
    length = found.references.length
    return (
        {stem: found.estimate(stem, 0, length) for stem in stems},
        {stem: found.references.read(REFERENCE + stem) for stem in stems},
    )
