"""What the benchmarks share: long songs made of short ones, time, memory, and this machine."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from unmix._types import Samples
from unmix.audio import AudioWriter, OutputFormat, open_audio

from ..tables import ROOT

#: The song that ships with the project.
EXCERPT = ROOT / "tests" / "songs" / "joshua-morin_on-the-run_excerpt.ogg"
#: Starts a song from the beginning: samples ``[C, n]``, block after block.
Song = Callable[[], Iterable[Samples]]


def looped(song: Path, seconds: float, path: Path) -> Path:
    """Write a song, looped to a length in seconds, as 16-bit WAV; return its path."""

    def blocks() -> Iterable[Samples]:
        with open_audio(song) as reader:
            yield from reader.blocks()

    with open_audio(song) as reader:
        rate, channels = reader.sample_rate, reader.channels
    return write_looped(blocks, rate, channels, seconds, path)


def write_looped(song: Song, rate: int, channels: int, seconds: float, path: Path) -> Path:
    """Write blocks, looped to a length in seconds, as 16-bit WAV; return its path."""
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
    """Run ``python -m unmix`` with arguments; return its peak resident memory in MiB."""
    watch = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode;"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    python = [sys.executable, "-c", watch, sys.executable, "-m", "unmix"]
    done = subprocess.run([*python, *command], check=True, stdout=subprocess.PIPE, text=True)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return int(done.stdout.split()[-1]) / unit


def machine(device: str) -> str:
    """Return the name of a device of this machine, ``cpu`` or ``cuda``."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
