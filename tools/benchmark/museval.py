"""Our BSS Eval against museval's: speed, and the largest differences in dB."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from unmix._types import Samples
from unmix.data import STEMS, Track, find_tracks
from unmix.evaluation.museval_backend import museval_scores
from unmix.metrics import SINGULAR, BSSOptions
from unmix.stems import ACCOMPANIMENT, INSTRUMENTS, VOCALS

from .agreement import FIGURES, compared, score, table_of_cases

Result = TypeVar("Result")


def museval(options: argparse.Namespace, _: Path) -> None:
    """Score the same estimates with our BSS Eval and with museval, one track after the other.

    The estimates are those of soft masks from the true magnitudes. Both run in one process, with
    the same number of threads. Synthetic edge cases follow.
    """
    if options.data is None and not options.cases:
        raise SystemExit("error: name a folder of tracks, or use --cases")
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        if not options.cases:
            _measure(options)
        Console().print(table_of_cases())


def _measure(options: argparse.Namespace) -> None:
    table = Table(
        title=f"BSS Eval, windows of 1 s, {options.stems} stems of {options.bits} bits,"
        f" threads: {options.threads}"
    )
    table.add_column("track")
    for heading in ("seconds", "condition", "museval, s", "ours, s", "times", "CUDA, s", "times"):
        table.add_column(heading, justify="right")
    apart = dict.fromkeys(FIGURES, 0.0)
    same = True
    totals = np.zeros(3)
    for name, references, rate in _tracks(options):
        settings = BSSOptions(framewise=options.framewise, window=rate)
        estimates = _masked(references)
        official, theirs = _timed(
            partial(
                museval_scores,
                estimates=list(estimates),
                references=list(references),
                options=settings,
            )
        )
        ours_time, ours = _timed(partial(score, estimates, references, settings))
        cuda = np.nan
        if torch.cuda.is_available():
            score(estimates, references, settings, "cuda")  # loads libraries
            began = time.perf_counter()
            score(estimates, references, settings, "cuda").sdr.cpu()
            cuda = time.perf_counter() - began
        found = compared(ours, theirs)
        same &= found.same
        apart = {figure: np.fmax(apart[figure], found.apart[figure]) for figure in FIGURES}
        condition = float(ours.condition.max())
        totals += (official, ours_time, cuda)
        table.add_row(
            name[:12],
            f"{references.shape[-1] / rate:.1f}",
            f"{condition:.0e}" + ("!" if condition >= SINGULAR else ""),
            *_times(official, ours_time, cuda),
        )
    table.add_row("all", "", "", *_times(*totals))
    console = Console()
    console.print(table)
    console.print(f"!: singular (condition above {SINGULAR:.0e}), computed in museval's own steps")
    for figure, difference in apart.items():
        console.print(f"{figure.upper()}: at most {difference:.1e} dB from museval's")
    console.print(f"Same frames undefined: {'yes' if same else 'NO'}")


def _times(official: float, ours: float, cuda: float) -> tuple[str, ...]:
    gain = f"{official / cuda:.0f}" if cuda > 0 else ""
    on_cuda = f"{cuda:.3f}" if cuda > 0 else ""
    return f"{official:.2f}", f"{ours:.2f}", f"{official / ours:.1f}", on_cuda, gain


def _tracks(options: argparse.Namespace) -> Iterator[tuple[str, Samples, int]]:
    found = find_tracks(options.data, STEMS)[: options.tracks]
    rate = next(iter(found[0].stems.values())).sample_rate
    stems = (VOCALS, ACCOMPANIMENT) if options.stems == 2 else (VOCALS, *INSTRUMENTS)
    samples = {track.name: _read(track, stems, rate, options.bits) for track in found}
    if options.join:
        samples = {f"{len(samples)} tracks": np.concatenate(list(samples.values()), -1)}
    for name, references in samples.items():
        yield name, references, rate


def _read(track: Track, stems: tuple[str, ...], rate: int, bits: int) -> Samples:
    length = min(stem.length_at(rate) for stem in track.stems.values())
    references = np.stack([track.read(stem, 0, length, rate, 2) for stem in stems])
    if bits == 16:
        references = (np.round(references * 2**15) / 2**15).astype(np.float32)
    return references


def _masked(references: Samples) -> Samples:
    """Return the estimates of soft masks from the true magnitudes."""
    window = torch.hann_window(2048)
    signals = torch.from_numpy(references).flatten(0, 1)
    frames = torch.stft(signals, 2048, 512, window=window, return_complex=True)
    frames = frames.unflatten(0, references.shape[:2])
    masks = frames.abs() / (frames.abs().sum(0) + 1e-9)
    estimates = (masks * frames.sum(0)).flatten(0, 1)
    samples = torch.istft(estimates, 2048, 512, window=window, length=references.shape[-1])
    return samples.view(references.shape).numpy()


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
