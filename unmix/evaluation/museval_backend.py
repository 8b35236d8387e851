"""BSS Eval v4 by museval itself, the reference implementation; several tracks in parallel."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .._types import Samples
from ..errors import UnmixError, missing_extra
from ..metrics import BSSOptions
from .measures import BSS_FIGURES
from .scoring import FrameFigures, ScoringSettings, bss_sets
from .signals import REFERENCE, Estimated

Floats = NDArray[np.float64]
#: Called in a worker process to read estimates and references of a track, by stem.
Load = Callable[[], tuple[Mapping[str, Samples], Mapping[str, Samples]]]

# Bytes that a process takes before it has read anything.
_PROCESS = 512 << 20


@dataclass(frozen=True)
class MusevalScores:
    """museval's figures in dB, each ``[S, frames]``; see ``unmix.metrics.BSSScores``."""

    sdr: Floats
    isr: Floats
    sir: Floats
    sar: Floats
    permutation: NDArray[np.int64]


@dataclass(frozen=True)
class MusevalTrack:
    """A track to be scored in a process of its own."""

    name: str
    load: Load
    """Picklable: a function of a module, or a ``functools.partial`` of one."""
    stems: int
    channels: int
    length: int
    """Samples."""


def museval_scores(
    *, estimates: Sequence[Samples], references: Sequence[Samples], options: BSSOptions
) -> MusevalScores:
    """Return museval's figures.

    museval refuses a reference or an estimate that is silent throughout; here its track gets NaN
    for every frame.

    Args:
        estimates: ``[C, N]`` each.
        references: ``[C, N]`` each, in the order of the estimates.
        options: what to compute; ``as_rounded`` has no effect.
    """
    true = np.stack([np.asarray(reference.T, np.float64) for reference in references])
    heard = np.stack([np.asarray(estimate.T, np.float64) for estimate in estimates])
    window = np.inf if options.window is None else options.window
    hop = window if options.hop is None else options.hop
    if any((signals.sum(2) == 0).all(1).any() for signals in (true, heard)):
        frames = _metrics().Framing(window, hop, true.shape[1]).nwin
        none = np.full((len(true), frames), np.nan)
        order = np.arange(len(true))[:, None]
        return MusevalScores(none, none, none, none, order)
    found = _metrics().bss_eval(
        true,
        heard,
        compute_permutation=options.permute,
        window=window,
        hop=hop,
        filters_len=options.filter_length,
        framewise_filters=options.framewise,
        bsseval_sources_version=options.mode == "sources",
    )
    return MusevalScores(*map(np.asarray, found))


def museval_tracks(
    tracks: Sequence[MusevalTrack],
    options: BSSOptions,
    *,
    workers: int | None = None,
    memory: int = 4 << 30,
) -> Iterator[tuple[str, MusevalScores]]:
    """Score tracks in parallel processes; yield each as it is done.

    Args:
        tracks: tracks to score.
        options: what to compute.
        workers: processes; default: one for each processor.
        memory: bytes for all processes together. A track that needs more is scored alone.
    """
    workers = min(workers or processors(), max(1, len(tracks)))
    threads = max(1, processors() // workers)
    context = get_context("spawn")  # forking a process with threads may hang
    waiting = sorted(tracks, key=museval_memory)  # the largest last, which is taken first
    running: dict[Future[MusevalScores], MusevalTrack] = {}
    with ProcessPoolExecutor(workers, context, threadpool_limits, (threads,)) as pool:
        try:
            while waiting or running:
                left = memory - sum(map(museval_memory, running.values()))
                fits = [track for track in waiting if museval_memory(track) <= left]
                if len(running) < workers and (fits or (waiting and not running)):
                    track = fits[-1] if fits else waiting[-1]
                    waiting.remove(track)
                    running[pool.submit(_score, track.load, options)] = track
                    continue
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(done).name, done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def museval_frames(
    queue: Sequence[Estimated], settings: ScoringSettings
) -> Iterator[tuple[Estimated, FrameFigures]]:
    """Yield museval's figures of tracks, scored in parallel, each as soon as it is done."""
    jobs = _jobs(queue) if "bss" in settings.metrics else {}
    left = [sum(job.number == number for job in jobs.values()) for number in range(len(queue))]
    frames: list[FrameFigures] = [{} for _ in queue]
    yield from ((queue[number], {}) for number, count in enumerate(left) if not count)
    for rate in dict.fromkeys(found.references.sample_rate for found in queue if jobs):
        tracks = [job.track for job in jobs.values() if job.sample_rate == rate]
        options = settings.options(rate)
        for name, scores in museval_tracks(tracks, options):
            job = jobs[name]
            for row, stem in enumerate(job.together):
                if stem in job.wanted:
                    figures = {
                        figure: getattr(scores, figure.lower())[row] for figure in BSS_FIGURES
                    }
                    frames[job.number][stem] = figures
            left[job.number] -= 1
            if not left[job.number]:
                yield queue[job.number], frames[job.number]


def museval_memory(track: MusevalTrack) -> int:
    """Return about how many bytes museval needs for a track, mostly for transforms of all of it."""
    channels = track.stems * track.channels
    transform = 16 << max(1, track.length - 1).bit_length()
    matrices = 5 * 8 * (channels * 512) ** 2
    return _PROCESS + (channels + 6) * transform + 6 * 8 * channels * track.length + matrices


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _score(load: Load, options: BSSOptions) -> MusevalScores:
    estimates, references = load()
    return museval_scores(
        estimates=[estimates[stem] for stem in references],
        references=list(references.values()),
        options=options,
    )


class _Job(NamedTuple):
    """One set of stems of one track."""

    number: int
    """Position of the track in the queue."""
    together: tuple[str, ...]
    wanted: tuple[str, ...]
    sample_rate: int
    track: MusevalTrack


def _jobs(queue: Sequence[Estimated]) -> dict[str, _Job]:
    jobs = {}
    for number, found in enumerate(queue):
        for index, (together, wanted) in enumerate(bss_sets(found.context)):
            estimated = tuple(stem for stem in wanted if stem in found.stems)
            if not estimated:
                continue
            name = f"{number}.{index}"
            track = MusevalTrack(
                name=name,
                load=partial(_read, found, together),
                stems=len(together),
                channels=found.references.audio_channels,
                length=found.references.length,
            )
            jobs[name] = _Job(number, together, estimated, found.references.sample_rate, track)
    return jobs


def _read(found: Estimated, stems: Sequence[str]) -> tuple[dict[str, Samples], dict[str, Samples]]:
    """Return whole estimates and references; called in a worker process."""
    length = found.references.length
    return (
        {stem: found.estimate(stem, 0, length) for stem in stems},
        {stem: found.references.read(REFERENCE + stem) for stem in stems},
    )


@cache
def _metrics() -> ModuleType:
    """Return the module ``museval.metrics`` without the package around it.

    The package imports stempeg, which fails on machines without the ffmpeg program. The metrics
    do not need it.
    """
    package = importlib.util.find_spec("museval")
    if package is None or package.origin is None:
        raise UnmixError(missing_extra("museval"))
    path = Path(package.origin).with_name("metrics.py")
    spec = importlib.util.spec_from_file_location("unmix_museval_metrics", path)
    if spec is None or spec.loader is None:
        raise UnmixError(f"{path}: not found; reinstall museval")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not hasattr(np.linalg, "linalg"):
        # For exactly singular equations, museval 0.4.1 catches an error by a name that NumPy has
        # removed, and fails instead of taking the shortest solution.
        numpy, linalg = ModuleType("numpy"), ModuleType("numpy.linalg")
        vars(linalg).update(vars(np.linalg), linalg=np.linalg)
        vars(numpy).update(vars(np), linalg=linalg)
        vars(module)["np"] = numpy
    return module
