"""python tools/benchmark.py start: what a command takes before it does anything.

Every command runs in a process of its own, one after the other, in as many rounds as asked: a busy
moment of the machine meets all of them alike. The bare interpreter is the one to compare with.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from .measuring import timed

COMMANDS = {
    "python, without anything": ["-c", ""],
    "import unmix": ["-c", "import unmix"],
    "unmix --help": ["-m", "unmix", "--help"],
    "unmix separate --help": ["-m", "unmix", "separate", "--help"],
    "unmix models": ["-m", "unmix", "models"],
    "import torch": ["-c", "import torch"],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--runs", type=int, default=7, help="rounds; their median counts")


def start(options: argparse.Namespace, folder: Path) -> None:
    """Measure every command, and print the medians; nothing is written to the folder."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for run in range(max(1, options.runs) + 1):
        for name, command in COMMANDS.items():
            once = timed(partial(_start, command))
            if run:  # the first also fills caches
                taken[name].append(once)
    where = f"{platform.machine()} CPU, Python {platform.python_version()}"
    table = Table(title=f"from start to end, median of {options.runs}, {where}")
    table.add_column("what")
    table.add_column("seconds", justify="right")
    for name, seconds in taken.items():
        table.add_row(name, f"{median(seconds):.2f}")
    Console().print(table)


def _start(command: list[str]) -> None:
    silent = subprocess.DEVNULL
    subprocess.run([sys.executable, *command], check=True, stdout=silent, stderr=silent)
