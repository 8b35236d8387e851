"""Hours of audio, thousands of songs, threads on one separator: flat memory, the same results."""

from __future__ import annotations

import argparse
import json
import os
import resource
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import soundfile

from .counting import Counts, Report
from .job import fault_of, leftovers, separator_of
from .seeds import song

FAULTS = ("growing memory", "growing file descriptors", "wrong results", "tracebacks")
#: Growth of memory from the first to the last tenth of the time.
GROWTH = 0.05
_RATE = 44100
#: One of so many songs of a batch is broken.
_BROKEN = 20
#: Different songs among those of a batch, and among those that threads separate.
_SONGS = 10


@dataclass
class Watched:
    """What a part found, and what its process needed, again and again while it ran."""

    memory: list[int] = field(default_factory=list)
    """Resident bytes."""
    descriptors: list[int] = field(default_factory=list)
    """Open files."""
    wrong: list[str] = field(default_factory=list)
    error: str = ""
    done: int = 0


def load(options: argparse.Namespace, folder: Path) -> Report:
    """Separate a file of many hours, a batch of many songs, and songs in many threads at once.

    Each part runs in a process of its own. The mean of its resident memory over the last tenth of
    the time may be 5 % above that of the first tenth, the most open files not at all. The long
    file's stems have its length; equal songs of the batch, of which 5 % are broken, have equal
    stems to the bit, and the broken ones fail; threads give what one thread gives, to the bit.
    """
    counts = Counts(FAULTS, options.keep)
    parts: dict[str, Callable[[Path, Watched], None]] = {
        "long": partial(one_long_file, model=options.model, seconds=3600 * options.hours),
        "batch": partial(many_songs, model=options.model, count=options.songs),
        "threads": partial(
            many_threads, model=options.model, count=options.threads, minutes=options.minutes
        ),
    }
    notes = []
    for name in options.parts.split(","):
        own = folder / name
        own.mkdir()
        began = time.monotonic()
        watched = in_a_process(parts[name], own)
        counts.tried += watched.done
        judge(counts, name, watched)
        growth = 100 * (_ends(watched.memory)[1] / _ends(watched.memory)[0] - 1)
        minutes = (time.monotonic() - began) / 60
        notes.append(f"{name} {minutes:.0f} min, {growth:+.1f} % memory")
        print(notes[-1], flush=True)
    what = (
        f"{options.hours:g} h of audio in one file, a batch of {options.songs:,} songs with 5 % "
        f"broken, {options.threads} threads on one Separator for {options.minutes:g} min"
    )
    return Report(what, f"{counts.figures('songs')}; {', '.join(notes)}", counts.total)


def judge(counts: Counts, name: str, watched: Watched) -> None:
    """Count what is wrong with a part."""
    first, last = _ends(watched.memory)
    if last > first * (1 + GROWTH):
        counts.fault("growing memory", name, f"from {first / 2**20:.1f} to {last / 2**20:.1f} MiB")
    # Each tenth has songs in all their stages, so that the most files open at once can be compared.
    first, last = _ends(watched.descriptors, max)
    if last > first:
        counts.fault("growing file descriptors", name, f"from {first:g} to {last:g}")
    for text in watched.wrong:
        counts.fault("wrong results", name, text)
    if watched.error:
        counts.fault("tracebacks", name, watched.error)


def one_long_file(folder: Path, watched: Watched, *, model: str, seconds: float) -> None:
    """Separate a mono file of many hours at 22.05 kHz."""
    from unmix.songs.separate import StemOptions, plan_stems, write_stems

    from ..benchmark.measuring import write_looped

    path = folder / "long.wav"
    piece = song(30)[:1, ::2]
    length = write_looped(lambda: [piece], _RATE // 2, 1, seconds, path).stat().st_size // 2
    separator = separator_of(model)
    with watching(watched):
        result = write_stems(separator, plan_stems(separator, path, folder / "out", StemOptions()))
    held = {name: soundfile.info(stem).frames for name, stem in result.stems.items()}
    watched.wrong += [f"{name} has {n} samples" for name, n in held.items() if n < length - 100]
    watched.done = 1


def many_songs(folder: Path, watched: Watched, *, model: str, count: int) -> None:
    """Separate a folder of songs with the command, some of them cut or no songs at all."""
    from unmix.cli import main

    songs, out = folder / "songs", folder / "out"
    songs.mkdir()
    random = np.random.default_rng(0)
    samples = song(_SONGS + 2)
    for number in range(count):
        path = songs / f"{number:05}.wav"
        if number % _BROKEN == 0:
            path.write_bytes(random.bytes(10000))
        else:
            start = number % _SONGS * _RATE
            soundfile.write(path, samples[:, start : start + 2 * _RATE].T, _RATE)
    command = f"separate --model {model} --quality fast --device cpu --format flac --json".split()
    said = folder / "said.json"
    with said.open("w", encoding="utf-8") as file, redirect_stdout(file), watching(watched):
        try:
            main([*command, "--out", str(out), str(songs)])
        except SystemExit as end:
            if end.code != 1:
                watched.wrong.append(f"exit code {end.code}")
    record = json.loads(said.read_text(encoding="utf-8"))
    watched.done = len(record["songs"])
    broken = len(range(0, count, _BROKEN))
    if (record["done"], record["failed"]) != (count - broken, broken):
        watched.wrong.append(f"{record['done']} done, {record['failed']} failed")
    hashes: dict[tuple[int, str], set[str]] = {}
    for path in out.rglob("*.flac"):
        kind = int(path.parent.name) % _SONGS, path.name
        samples = soundfile.read(path, dtype="int32")[0]  # not the bytes: titles are in them
        hashes.setdefault(kind, set()).add(sha256(samples.tobytes()).hexdigest())
        if text := fault_of(path, 2 * _RATE):
            watched.wrong.append(text)
    watched.wrong += [f"{kind} differs" for kind, held in hashes.items() if len(held) > 1]
    watched.wrong += leftovers(out, 2 * (count - broken))


def many_threads(folder: Path, watched: Watched, *, model: str, count: int, minutes: float) -> None:
    """Separate songs in several threads with one separator, and compare with one thread's stems."""
    del folder
    separator: Any = separator_of(model)
    samples = song(_SONGS + 2)
    songs = [samples[:, n * _RATE : (n + 2) * _RATE].copy() for n in range(_SONGS)]

    def stems_of(number: int) -> str:
        stems = separator.separate(songs[number], _RATE)
        return sha256(b"".join(stems[name].tobytes() for name in separator.stems)).hexdigest()

    expected = [stems_of(number) for number in range(_SONGS)]
    end = time.monotonic() + 60 * minutes
    lock = threading.Lock()

    def work(first: int) -> None:
        number = first
        while time.monotonic() < end:
            number = (number + 1) % _SONGS
            same = stems_of(number) == expected[number]
            with lock:
                watched.done += 1
                if not same:
                    watched.wrong.append(f"song {number} differs in thread {first}")

    threads = [threading.Thread(target=work, args=(first,)) for first in range(count)]
    with watching(watched):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class watching:  # noqa: N801  (a context manager)
    """Notes memory and open files of this process all the while."""

    def __init__(self, watched: Watched, every: float = 0.2) -> None:
        self._watched, self._every = watched, every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        statm = Path("/proc/self/statm")
        while not self._ended.wait(self._every):
            pages = int(statm.read_text(encoding="ascii").split()[1])
            self._watched.memory.append(pages * resource.getpagesize())
            self._watched.descriptors.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208


def in_a_process(part: Callable[[Path, Watched], None], folder: Path) -> Watched:
    """Return what a part finds in a new process."""
    context = get_context("spawn")
    parent, child = context.Pipe()
    process = context.Process(target=_serve, args=(part, folder, child))
    process.start()
    child.close()
    try:
        watched: Watched = parent.recv()
    except EOFError:
        process.join()
        watched = Watched(error=f"ended with exit code {process.exitcode}")
    process.join()
    return watched


def _serve(part: Callable[[Path, Watched], None], folder: Path, connection: Any) -> None:
    import traceback

    watched = Watched()
    try:
        part(folder, watched)
    except BaseException:
        watched.error = traceback.format_exc()
    connection.send(watched)


def _ends(
    series: Sequence[int], of: Callable[[Sequence[int]], float] = mean
) -> tuple[float, float]:
    """Return the means of the first and of the last tenth; 1 for each without a value."""
    tenth = max(1, len(series) // 10)
    return (of(series[:tenth]), of(series[-tenth:])) if series else (1, 1)
