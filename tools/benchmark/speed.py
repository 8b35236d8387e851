"""Speed and memory of separation, and how long commands take to start."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from unmix import Separator
from unmix._types import Samples
from unmix.audio import read_audio
from unmix.devices import autocast, flushed_denormals
from unmix.separation.separator import QUALITIES

from .measuring import looped, machine, peak_of, timed

COMMANDS = {
    "python -c ''": ["-c", ""],
    "import unmix": ["-c", "import unmix"],
    "unmix --help": ["-m", "unmix", "--help"],
    "unmix separate --help": ["-m", "unmix", "separate", "--help"],
    "unmix models": ["-m", "unmix", "models"],
    "import torch": ["-c", "import torch"],
}


def speed(options: argparse.Namespace, folder: Path) -> None:
    """Time a song from file to stem files at every quality, then each part alone."""
    song = looped(options.song, options.seconds, folder / "song.wav")
    samples, rate = read_audio(song)
    separator = Separator(options.model, device=options.device)
    device = machine(separator.device.type)
    table = Table(title=f"{options.seconds:.0f} s of stereo at {rate} Hz on {device}")
    for heading in ("what", "seconds", "times real time"):
        table.add_column(heading, justify="left" if heading == "what" else "right")

    def add(what: str, work: Callable[[], object]) -> None:
        work()  # fills caches
        taken = median(timed(work) for _ in range(options.runs))
        table.add_row(what, f"{taken:.2f}", f"{options.seconds / taken:.1f}")

    for quality in QUALITIES:
        other = Separator(options.model, device=options.device, quality=quality)
        what = f"{quality}: decode, separate, encode ({other.settings.precision})"
        add(what, partial(other.separate_file, song, folder / "out", existing="overwrite"))
    add("balanced: separate alone", partial(separator.separate, samples, rate))
    for precision in ("fp32", "bf16"):
        what = f"network and STFTs alone ({precision})"
        add(what, partial(network, separator, samples, precision))
    add("decode alone", partial(read_audio, song))
    Console().print(table)


def network(separator: Separator, samples: Samples, precision: str) -> None:
    """Run the model over a recording in chunks that do not overlap."""
    model, chunk = separator.model, separator.settings.chunk
    count = samples.shape[1] // chunk
    chunks = torch.from_numpy(samples[:, : count * chunk]).reshape(2, count, chunk).transpose(0, 1)
    with torch.inference_mode(), flushed_denormals(), autocast(separator.device, precision):
        for batch in chunks.split(separator.settings.batch_size):
            model(batch.to(separator.device)).cpu()


def memory(options: argparse.Namespace, folder: Path) -> None:
    """Measure the peak resident memory of ``unmix separate`` on files of several lengths."""
    table = Table(title=f"Peak resident memory on {platform.machine()}, {options.model} model")
    for heading in ("minutes", "peak, MiB", "against the first", "seconds", "times real time"):
        table.add_column(heading, justify="right")
    first = 0.0
    for minutes in options.minutes:
        song = looped(options.song, 60 * minutes, folder / "song.wav")
        command = ["separate", str(song), "-o", str(folder / "out"), "--model", options.model]
        began = time.perf_counter()
        peak = peak_of([*command, "--device", "cpu", "--overwrite"])
        taken = time.perf_counter() - began
        first = first or peak
        ratios = (f"{peak / first:.3f}", f"{taken:.0f}", f"{60 * minutes / taken:.1f}")
        table.add_row(f"{minutes:g}", f"{peak:.0f}", *ratios)
        song.unlink()
    Console().print(table)


def start(options: argparse.Namespace, _: Path) -> None:
    """Time commands that do nothing, in turns, so that a busy moment slows all of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for run in range(max(1, options.runs) + 1):
        for name, command in COMMANDS.items():
            once = timed(partial(_run, command))
            if run:  # the first fills caches
                taken[name].append(once)
    where = f"{platform.machine()} CPU, Python {platform.python_version()}"
    table = Table(title=f"From start to end, median of {options.runs}, {where}")
    table.add_column("what")
    table.add_column("seconds", justify="right")
    for name, seconds in taken.items():
        table.add_row(name, f"{median(seconds):.2f}")
    Console().print(table)


def _run(command: list[str]) -> None:
    silent = subprocess.DEVNULL
    subprocess.run([sys.executable, *command], check=True, stdout=silent, stderr=silent)
