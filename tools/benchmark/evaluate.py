"""Peak memory and time of ``unmix evaluate --estimates``, by length and number of tracks."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from unmix._types import Samples
from unmix.audio import open_audio
from unmix.data import STEMS, find_tracks
from unmix.evaluation.signals import sum_blocks
from unmix.stems import ACCOMPANIMENT, VOCALS

from .measuring import machine, peak_of, write_looped

RATE = 44100
CHANNELS = 2
METRICS = "bss,sdr,si_sdr,log_l1"
#: Standard deviation of the noise in estimates.
LEVEL = 0.01


def evaluate(options: argparse.Namespace, folder: Path) -> None:
    """Score single tracks of several lengths, then sets of several sizes.

    The references are a song's vocals and accompaniment, looped; the estimates are the same with
    some noise. An hour of audio takes 10 GB in the folder of temporary files.
    """
    where = f"on {machine('cpu')}"
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
    """Add a row; return the peak of the first row."""
    place = folder / "set"
    references, estimates = place / "references", place / "estimates"
    _write_track(data, 60 * minutes, references / "0", estimates / "0")
    for root in (references, estimates):
        for number in range(1, tracks):  # hard links, which take no room
            (root / str(number)).mkdir()
            for file in (root / "0").iterdir():
                (root / str(number) / file.name).hardlink_to(file)
    command = ["evaluate", "--estimates", str(estimates)]
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
    """Write both stems, as they are and with noise, block by block."""
    for seed, stem in enumerate((VOCALS, ACCOMPANIMENT)):
        song = partial(_noise, seed) if data is None else partial(_stem, data, stem)
        for folder in (references, estimates):
            folder.mkdir(parents=True, exist_ok=True)
        path = write_looped(song, RATE, CHANNELS, seconds, references / f"{stem}.wav")
        noisy = partial(_with_noise, path)
        write_looped(noisy, RATE, CHANNELS, seconds, estimates / f"{stem}.wav")


def _noise(seed: int) -> Iterator[Samples]:
    random = np.random.default_rng(seed)
    for _ in range(60):
        yield random.normal(0, 0.1, (CHANNELS, RATE)).astype(np.float32)


def _stem(data: Path, stem: str) -> Iterator[Samples]:
    return sum_blocks(find_tracks(data, STEMS)[0].terms(stem), RATE, CHANNELS)


def _with_noise(path: Path) -> Iterable[Samples]:
    random = np.random.default_rng(2)
    with open_audio(path) as reader:
        for block in reader.blocks():
            yield block + random.normal(0, LEVEL, block.shape).astype(np.float32)
