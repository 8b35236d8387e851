"""Thousands of damaged and odd files, put through the main job one by one."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from random import Random

from unmix.audio import FORMATS

from .counting import Counts, Report
from .damage import damages
from .job import HALVING, separate_case
from .pool import Case, Outcome, Pool, Work
from .seeds import Seed, odd_seeds, seeds

FAULTS = ("crashes", "hangs", "tracebacks", "partial files", "silent shortfalls", "false alarms")
_KINDS = {"crash": "crashes", "hang": "hangs", "traceback": "tracebacks"}
#: Seconds that may be missing at the end of a damaged file, unsaid: padding of lossy codings.
TOLERANCE = 0.11
#: Odd files of this ending are also written in every other format.
_ODD_SOURCE = ".wav"


def inputs(options: argparse.Namespace, folder: Path) -> Report:
    """Make files of every format with every damage, separate each, and count what goes wrong.

    A shortfall is silent if outputs are shorter than those of the whole file by more than 0.11 s
    without a warning, where the damage removes sound and the file states its length or marks its
    end: raw streams such as AAC, and MPEG streams, promise nothing. A false alarm is a warning of a
    whole file. Refusing a file with a sentence is no fault; whole files that are refused, as those
    of Matlab, are counted apart.
    """
    counts = Counts(FAULTS, options.keep)
    some = islice(corpus(options.seed, options.every), options.files)
    cases = sampled(some, options.model, options.model_every)
    pool = Pool(
        partial(start, folder),
        workers=options.workers,
        limit=options.limit,
        memory=options.memory,
    )
    judge = Judge(counts)
    for case, outcome in pool.run(cases):
        judge.count(case, outcome)
    what = "damaged and odd files of every format through `separate`"
    return Report(what, counts.figures("files"), counts.total)


def corpus(seed: int, every: int = 1) -> Iterator[Case]:
    """Yield the cases: every whole file, followed by what damage makes of it.

    Args:
        seed: of the damage.
        every: take one of so many damaged and odd files; whole files come always, to compare with.
    """
    kept = cycle([True] + [False] * (every - 1))
    for one in seeds():
        yield _whole(one)
        random = Random(f"{seed} {one.name}")  # the same damage whichever files come before
        for damage in damages(one.data, random):
            if next(kept):
                stem, _, ending = one.name.rpartition(".")
                name = f"{stem}-{damage.name}.{ending}"
                # An AVI of samples counts bytes: what is lost among them is not to be told.
                untold = damage.name.startswith("noise") and ending == "avi"
                loses = damage.loses and one.promises and not untold
                yield Case(name, damage.data, group=one.name, loses=loses)
    for one in odd_seeds():
        if next(kept):
            yield _whole(one)
        for name in FORMATS:
            if one.name.endswith(_ODD_SOURCE) and name != "wav" and next(kept):
                yield Case(one.name, one.data, job=f"{HALVING}:{name}", group=f"to {name}")


def sampled(cases: Iterable[Case], model: str, every: int) -> Iterator[Case]:
    """Yield cases, and one of so many damaged ones again, for a model that takes its time."""
    for number, case in enumerate(cases):
        yield case
        if every and number % every == 0 and case.job == HALVING:
            yield replace(case, job=model, group="")


def start(folder: Path) -> Work:
    """Return what works on cases in this process, in a folder of its own."""
    return partial(separate_case, folder=Path(tempfile.mkdtemp(dir=folder)))


class Judge:
    """Counts outcomes. A whole file has to come before what damage makes of it."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._whole: dict[str, float | None] = {}
        self._early: list[tuple[Case, Outcome]] = []

    def count(self, case: Case, outcome: Outcome) -> None:
        """Count one outcome."""
        counts = self._counts
        counts.tried += 1
        if outcome.status in ("done", "refused"):
            counts.notes[outcome.status] += 1
        if case.name == case.group:
            self._whole[case.group] = outcome.seconds
            if outcome.status == "refused":
                counts.notes["whole files refused"] += 1
            if outcome.warned:
                counts.fault("false alarms", case.name, outcome.text, case.data)
            self._judge_early(case.group)
        if kind := _KINDS.get(outcome.status):
            counts.fault(kind, case.name, outcome.text, case.data)
        if outcome.partial:
            counts.fault("partial files", case.name, "; ".join(outcome.partial), case.data)
        if not case.job.startswith(HALVING):
            counts.notes[f"through {case.job}"] += 1
        elif case.loses:
            self._early.append((case, outcome))
            self._judge_early(case.group)

    def _judge_early(self, group: str) -> None:
        """Judge lengths once that of the whole file is known: several processes work at once."""
        if group not in self._whole:
            return
        for case, outcome in self._early:
            if case.group == group:
                self._judge(case, outcome, self._whole[group])
        self._early = [(case, outcome) for case, outcome in self._early if case.group != group]

    def _judge(self, case: Case, outcome: Outcome, whole: float | None) -> None:
        if whole is None or outcome.seconds is None or outcome.warned:
            return
        if whole - outcome.seconds > TOLERANCE:
            text = f"{outcome.seconds:.2f} of {whole:.2f} s, and no warning"
            self._counts.fault("silent shortfalls", case.name, text, case.data)


def _whole(seed: Seed) -> Case:
    return Case(seed.name, seed.data, group=seed.name)
