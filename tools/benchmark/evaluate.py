"""python tools/benchmark.py report: peak memory and time of ``unmix evaluate --estimates``.

Of one track by its length, and of sets of tracks by their number. The references are a song's
vocals and accompaniment, over and over; the estimates are those, and some noise.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from unmix.audio import open_audio
from unmix.data import STEMS, find_tracks
from unmix.evaluation.references import sum_blocks
from unmix.stems import ACCOMPANIMENT, VOCALS

from .measuring import peak_of, write_looped

RATE = 44100
CHANNELS = 2
METRICS = "bss,sdr,si_sdr,log_l1"
#: Of the noise in estimates.
LEVEL = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--data", type=Path, help="folder of tracks; the first is played, noise where not given"
    )
    parser.add_argument("--minutes", type=float, nargs="*", default=[2, 10, 60], help="of one")
    parser.add_argument("--tracks", type=int, nargs="*", default=[2, 20], help="of a minute each")
    parser.add_argument("--folder", type=Path, help="for temporary files: 10 GB for an hour")


def report(options: argparse.Namespace, folder: Path) -> None:
    """Measure single tracks of several lengths, then sets of several sizes."""
    where = f"on {platform.machine()} CPU, threads: {torch.get_num_threads()}"
    table = _table(f"unmix evaluate --estimates, one track of stereo, {where}", "minutes")
    first = 0.0
    for minutes in options.minutes:
        first = _measure(table, f"{minutes:g}", minutes, 1, first, options.data, folder)
    many = _table(f"unmix evaluate --estimates, tracks of a minute, {where}", "tracks")
    first = 0.0
    for count in options.tracks:
        first = _measure(many, str(count), 1, count, first, options.data, folder)
    for found in (table, many):
        if found.row_count:
            Console().print(found)


def _table(title: str, what: str) -> Table:
    table = Table(title=title)
    for heading in (what, "peak, MiB", "against the first", "seconds", "times real time"):
        table.add_column(heading, justify="right")
    return table


def _measure(
    table: Table,
    label: str,
    minutes: float,
    tracks: int,
    first: float,
    data: Path | None,
    folder: Path,
) -> float:
    """Add a row; return the peak of the first one."""
    place = folder / "set"
    references, estimates = place / "references", place / "estimates"
    _write_track(data, 60 * minutes, references / "0", estimates / "0")
    for root in (references, estimates):
        for number in range(1, tracks):  # by other names, so that no disk is filled
            (root / str(number)).mkdir()
            for file in (root / "0").iterdir():
                (root / str(number) / file.name).hardlink_to(file)
    command = [sys.executable, "-m", "unmix", "evaluate", "--estimates", str(estimates)]
    command += ["--references", str(references), "--out", str(place / "report")]
    began = time.perf_counter()
    peak = peak_of([*command, "--metrics", METRICS, "--baselines", "none", "--device", "cpu"])
    taken = time.perf_counter() - began
    shutil.rmtree(place)
    first = first or peak
    speed = 60 * minutes * tracks / taken
    table.add_row(label, f"{peak:.0f}", f"{peak / first:.3f}", f"{taken:.0f}", f"{speed:.1f}")
    return first


def _write_track(data: Path | None, seconds: float, references: Path, estimates: Path) -> None:
    """Write both stems as they are and with noise, streamed: a track may be of any length."""
    for seed, stem in enumerate((VOCALS, ACCOMPANIMENT)):
        song = partial(_noise, seed) if data is None else partial(_stem, data, stem)
        for folder in (references, estimates):
            folder.mkdir(parents=True, exist_ok=True)
        path = write_looped(song, RATE, CHANNELS, seconds, references / f"{stem}.wav")
        noisy = partial(_with_noise, path)
        write_looped(noisy, RATE, CHANNELS, seconds, estimates / f"{stem}.wav")


def _noise(seed: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(seed)
    for _ in range(60):
        yield random.normal(0, 0.1, (CHANNELS, RATE)).astype(np.float32)


def _stem(data: Path, stem: str) -> Iterator[np.ndarray]:
    return sum_blocks(find_tracks(data, STEMS)[0].terms(stem), RATE, CHANNELS)


def _with_noise(path: Path) -> Iterable[np.ndarray]:
    random = np.random.default_rng(2)
    with open_audio(path) as reader:
        for block in reader.blocks():
            yield block + random.normal(0, LEVEL, block.shape).astype(np.float32)
