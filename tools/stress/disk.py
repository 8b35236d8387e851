"""Full and broken disks, wrong clocks, too little memory: outputs are whole or absent."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

from unmix.audio import FORMATS

from .conditions import SmallDisk, conditions
from .counting import Counts, Report
from .inputs import TOLERANCE
from .job import HALVING, separate_song, separator_of
from .pool import Case, Outcome, Pool, Work
from .seeds import Seed, encoded, song, written

FAULTS = ("crashes", "hangs", "tracebacks", "partial files", "silent shortfalls", "stopped batches")
_KINDS = {"crash": "crashes", "hang": "hangs", "traceback": "tracebacks"}
_SECONDS = 3.0
#: Ways in which a disk is full, the ones that this machine has in turn; the last one without root
#: and compiler.
_FULL = ("disk full", "no space")
_FULL_ELSEWHERE = "file size"
_OTHERS = ("read-only", "no temporary files", "EIO written", "EIO read", "clock", "memory")
_RATE = 44100
_SPOOLS = round(2 * 2 * 4 * _SECONDS * _RATE)  # two stereo stems as 32-bit floats


def disk(options: argparse.Namespace, folder: Path) -> Report:
    """Let the disk be full at random sizes for every format, and fail in other ways.

    Whatever fails, outputs have to be whole or absent, nothing else may be left, and the next song
    in the same process has to be done. A song that is read with errors may not come out short
    without a warning. A disk is full as a file system in memory (as root), and at any byte by a
    library that is loaded before all others (with a C compiler), in turn; elsewhere by a limit on
    the sizes of files.
    """
    counts = Counts(FAULTS, options.keep)
    sources = _sources()
    able = _able(folder, sources[0])
    pool = Pool(
        partial(start, folder), workers=options.workers, limit=options.limit, memory=options.memory
    )
    missing = [name for name in (*_FULL, *_OTHERS) if name not in able]
    for case, outcome in pool.run(_cases(options, sources, able)):
        judge(counts, case, outcome)
    if missing:
        counts.notes[f"kinds cannot be tried here ({', '.join(missing)})"] = len(missing)
    what = f"disk full at {options.sizes} random sizes for every format, " + ", ".join(_OTHERS)
    return Report(what, counts.figures("songs"), counts.total)


def start(folder: Path) -> Work:
    """Return what works on cases in this process, with a disk of its own."""
    own = Path(tempfile.mkdtemp(dir=folder))
    return partial(work, disk=SmallDisk(own / "disk"), folder=own)


def work(case: Case, disk: SmallDisk, folder: Path) -> Outcome:
    """Separate a song while something fails, and another one afterwards."""
    condition, name, amount = case.job.split(":")
    path, out = folder / case.name, disk.folder / "out"
    path.write_bytes(case.data)
    separator = separator_of(HALVING)
    during = conditions(disk, path)[condition]
    try:
        outcome = separate_song(separator, path, out, name, during(int(amount)))
        if condition == "memory" and outcome.text.rstrip().endswith("MemoryError"):
            outcome = replace(outcome, status="refused")
        shutil.rmtree(out, ignore_errors=True)
        after = separate_song(separator, path, out, name)
        if after.status != "done" or after.partial:
            text = f"the next song: {after.status} {after.text} {after.partial}"
            outcome = replace(outcome, stopped=text)
        return outcome
    finally:
        shutil.rmtree(out, ignore_errors=True)
        path.unlink()


def judge(counts: Counts, case: Case, outcome: Outcome) -> None:
    """Count one outcome."""
    counts.tried += 1
    name = f"{case.job} {case.name}"
    if outcome.status in ("done", "refused"):
        counts.notes[outcome.status] += 1
    if kind := _KINDS.get(outcome.status):
        counts.fault(kind, name, outcome.text)
    if outcome.partial:
        counts.fault("partial files", name, "; ".join(outcome.partial))
    if outcome.stopped:
        counts.fault("stopped batches", name, outcome.stopped)
    short = outcome.seconds is not None and _SECONDS - outcome.seconds > TOLERANCE
    if short and not outcome.warned:
        counts.fault("silent shortfalls", name, f"{outcome.seconds:.2f} of {_SECONDS:.2f} s")


def _sources() -> Sequence[Seed]:
    """Return the song in the formats that are read in different ways."""
    samples = song(_SECONDS)
    wav, flac = (written(samples, _RATE, major, "PCM_16") or b"" for major in ("WAV", "FLAC"))
    return (
        Seed("song.wav", wav),
        Seed("song.flac", flac),
        Seed("song.mp3", encoded(samples, "mp3", "libmp3lame")),
        Seed("song.m4a", encoded(samples, "ipod", "aac")),
        Seed("song.mkv", encoded(samples, "matroska", "flac")),
    )


def _able(folder: Path, source: Seed) -> set[str]:
    """Return the conditions that this machine has, as a process of its own finds them."""

    def begin() -> Work:
        disk = SmallDisk(Path(tempfile.mkdtemp(dir=folder)) / "disk")
        return lambda _: Outcome("done", "\n".join(conditions(disk, folder)))

    pool = Pool(begin, workers=1, limit=30, memory=None)
    ((_, outcome),) = pool.run([Case(source.name, b"")])
    return set(outcome.text.split("\n"))


def _cases(options: argparse.Namespace, sources: Sequence[Seed], able: set[str]) -> Iterator[Case]:
    full = [name for name in _FULL if name in able] or [_FULL_ELSEWHERE]
    for name in FORMATS:
        random = Random(f"{options.seed} {name}")
        # While the stems are encoded is when most can go wrong: half of the sizes fall there.
        outputs = 2 * _size_of(sources[0], name)
        for number in range(options.sizes):
            way = full[number % len(full)]
            inside = number % 4 < 2
            least = max(0, _SPOOLS - 65536) if inside else 0
            most = _SPOOLS + outputs + 65536 if inside else _SPOOLS
            amount = random.randrange(least, most) // (2 if way == _FULL_ELSEWHERE else 1)
            yield Case(sources[0].name, sources[0].data, job=f"{way}:{name}:{amount}")
        for condition in _OTHERS:
            for number in range(options.others if condition in able else 0):
                source = sources[number % len(sources) if condition == "EIO read" else 0]
                amount = {
                    "clock": random.choice((-1, 1)) * 10 ** random.randrange(9),
                    "EIO read": random.randrange(len(source.data)),
                    "EIO written": random.randrange(_SPOOLS + outputs),
                }.get(condition, random.randrange(32 << 20))
                yield Case(source.name, source.data, job=f"{condition}:{name}:{amount}")


def _size_of(source: Seed, name: str) -> int:
    """Return how many bytes a stem takes in a format."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, source.name), Path(folder, "out")
        path.write_bytes(source.data)
        separate_song(separator_of(HALVING), path, out, name)
        return max(path.stat().st_size for path in out.rglob("*") if path.is_file())
