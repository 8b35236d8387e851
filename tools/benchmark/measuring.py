"""What several benchmarks share: long songs made of short ones, seconds, peaks of memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from unmix.audio import AudioWriter, OutputFormat, open_audio

#: Begins a song from its start: samples ``[C, n]``, block after block.
Song = Callable[[], Iterable[np.ndarray]]


def looped(song: Path, seconds: float, path: Path) -> Path:
    """Write a song, over and over, as 16-bit WAV of so many seconds; return where."""

    def blocks() -> Iterable[np.ndarray]:
        with open_audio(song) as reader:
            yield from reader.blocks()

    with open_audio(song) as reader:
        rate, channels = reader.sample_rate, reader.channels
    return write_looped(blocks, rate, channels, seconds, path)


def write_looped(song: Song, rate: int, channels: int, seconds: float, path: Path) -> Path:
    """Write blocks, over and over, as 16-bit WAV of so many seconds; return where."""
    left = round(seconds * rate)
    with AudioWriter(
        path, sample_rate=rate, channels=channels, format=OutputFormat.parse("wav"), overwrite=True
    ) as writer:
        while left:
            for block in song():
                writer.write(block[:, :left])
                left -= min(left, block.shape[1])
    return path


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_of(command: list[str]) -> float:
    """Run a command on its own; return its peak resident memory in MiB."""
    watch = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode;"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return int(done.stdout.split()[-1]) / unit
