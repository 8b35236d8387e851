"""Processes that work on cases one after another, watched: a crash or a hang costs one case.

Every process is forked from this one, so that what it imports is imported once.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

#: A process is replaced after so many cases, so that what leaks stays small.
_CASES = 200
_GIB = 1 << 30


@dataclass(frozen=True)
class Case:
    """A file to try, and how."""

    name: str
    """Name of the file, with its ending."""
    data: bytes
    job: str = "halving"
    """What to do with it: for separation the model, and the format after a colon."""
    group: str = ""
    """What it was made of."""
    loses: bool = False
    """Whether the damage removes sound, and changes no promise of its length."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    status: str
    """"done", "refused" (one sentence), "traceback", "crash" or "hang"."""
    text: str = ""
    seconds: float | None = None
    """Length of the outputs."""
    warned: bool = False
    """Whether a warning says that something is missing or was repaired."""
    partial: tuple[str, ...] = ()
    """Files that should not be there, or not be as they are."""
    stopped: str = ""
    """What went wrong with the next song."""


Work = Callable[[Case], Outcome]
_fork = get_context("fork")


class Pool:
    """Runs cases in processes of its own.

    Args:
        start: called in every new process; returns what works on a case.
        workers: number of processes.
        limit: seconds that a case may take.
        memory: GiB of address space that a process may add to this one's; None: any.
    """

    def __init__(
        self, start: Callable[[], Work], *, workers: int, limit: float, memory: float | None
    ) -> None:
        self._start, self._limit, self._memory = start, limit, memory
        self._workers = [_Worker(self._serve, limit) for _ in range(workers)]

    def run(self, cases: Iterable[Case]) -> Iterator[tuple[Case, Outcome]]:
        """Yield cases with their outcomes, as they end."""
        waiting = iter(cases)
        try:
            ended = False
            while True:
                for worker in self._workers:
                    if worker.case is None and not ended:
                        case = next(waiting, None)
                        ended = case is None
                        if case is not None:
                            worker.give(case)
                busy = [worker for worker in self._workers if worker.case is not None]
                if not busy:
                    return
                wait([worker.parent for worker in busy], timeout=0.2)
                for worker in busy:
                    case, outcome = worker.case, worker.look()
                    if case is not None and outcome is not None:
                        yield case, outcome
        finally:
            for worker in self._workers:
                worker.stop()

    def _serve(self, connection: Connection) -> None:
        """Work until there are no more cases; runs in the new process."""
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):  # libraries write there what no one needs
            os.dup2(null, number)
        limit_memory(self._memory)
        work = self._start()
        while (case := connection.recv()) is not None:
            connection.send(work(case))


class _Worker:
    """One process, replaced when it ends or hangs."""

    def __init__(self, serve: Callable[[Connection], None], limit: float) -> None:
        self._serve, self._limit = serve, limit
        self._process: Any = None
        self._count = 0
        self._began = 0.0
        self.case: Case | None = None
        self.parent: Connection

    def give(self, case: Case) -> None:
        """Start on a case."""
        if self._process is None or self._count == _CASES:
            self.stop()
            self._begin()
            self._count = 0
        self.case, self._began = case, time.monotonic()
        self._count += 1
        self.parent.send(case)

    def look(self) -> Outcome | None:
        """Return the outcome of the case if there is one, and be ready for the next."""
        outcome: Outcome | None = None
        try:
            if self.parent.poll():
                outcome = self.parent.recv()
            elif time.monotonic() - self._began > self._limit:
                outcome = Outcome("hang", f"no end after {self._limit:g} s")
                self._end()
        except (EOFError, ConnectionError):
            self._process.join()
            outcome = Outcome("crash", _reason(self._process.exitcode))
            self._end()
        if outcome is not None:
            self.case = None
        return outcome

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            if self.case is None:
                self.parent.send(None)
                self._process.join(2)
            self._end()
        self.case = None

    def _begin(self) -> None:
        gc.freeze()  # keeps this process's pages shared
        self.parent, child = _fork.Pipe()
        self._process = _fork.Process(target=self._serve, args=(child,), daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 and newer warn of libraries' threads, none of which holds a lock here.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        child.close()

    def _end(self) -> None:
        self.parent.close()
        self._process.kill()
        self._process.join()
        self._process = None


def limit_memory(gib: float | None) -> None:
    """Limit the address space of this process to what it has and some GiB more."""
    if gib is not None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + int(gib * _GIB)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
