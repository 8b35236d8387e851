"""Commands killed at random moments: their files are whole or absent, and the next run succeeds."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from .commands import Command, commands, fault_in, publish
from .counting import Counts, Report

FAULTS = ("partial files", "failed next runs", "files left", "hangs")
#: Exit codes that no command has.
_HUNG, _CRASHED = 1000, 1001


def kill(options: argparse.Namespace, folder: Path) -> Report:
    """Kill separate, karaoke, train, evaluate and download at random moments, one after another.

    Afterwards every file that has its final name has to be whole; the next run, which for training
    resumes the last checkpoint, has to succeed, and then the folder has to hold the same files as
    after a run that was not killed: nothing missing, nothing left.
    """
    counts = Counts(FAULTS, options.keep)
    inputs = folder / "inputs"
    inputs.mkdir()
    known = commands(inputs)
    publishing = publish()
    _import_all()
    random = Random(options.seed)
    chosen = options.verbs.split(",") if options.verbs else list(known)
    runner = Runner(folder, publishing, options.limit)
    whole = {name: _tried_whole(name, known[name], runner) for name in chosen}
    while counts.tried < options.times:
        name = chosen[counts.tried % len(chosen)]
        files, seconds = whole[name]
        moment = random.uniform(0, seconds)
        what = f"{name} {counts.tried} killed after {moment:.3f} of {seconds:.3f} s"
        # A run that was faster than usual has ended before: it is tried again.
        if runner.run(known[name].begin(runner.out), moment) == -signal.SIGKILL:
            counts.tried += 1
            for text in runner.faults(files):
                counts.fault("partial files", what, text)
            judge_next(counts, what, runner.run(known[name].go_on(runner.out)), files, runner)
        runner.clear()
    what = f"kill -9 at random moments of {', '.join(chosen)}, and the next run"
    return Report(what, counts.figures("killed runs"), counts.total)


def _tried_whole(name: str, command: Command, runner: Runner) -> tuple[set[str], float]:
    """Return the files of a command that nobody kills, and the seconds it takes."""
    seconds = []
    for _ in range(2):  # the first one is slower
        runner.clear()
        began = time.monotonic()
        if code := runner.run(command.begin(runner.out)):
            raise RuntimeError(f"{name} ends with {code} though nobody killed it: {runner.said}")
        seconds.append(time.monotonic() - began)
    files = runner.files()
    runner.clear()
    return files, min(seconds)


def judge_next(counts: Counts, what: str, code: int, files: set[str], runner: Runner) -> None:
    """Count what is wrong with the run after one that was killed."""
    if code == _HUNG:
        counts.fault("hangs", what, runner.said)
    elif code:
        counts.fault("failed next runs", what, f"exit code {code}: {runner.said}")
    else:
        held = runner.files()
        if missing := files - held:
            counts.fault("failed next runs", what, f"missing: {', '.join(sorted(missing))}")
        if left := held - files:
            counts.fault("files left", what, ", ".join(sorted(left)))
        for text in runner.faults(files):
            counts.fault("partial files", f"{what}, after the next run", text)


class Runner:
    """Runs ``unmix`` in forked processes, which have imported everything already.

    Args:
        folder: for the output folder, ``out``, and what commands print.
        before: called in each process before the command.
        limit: seconds until a command hangs.
    """

    def __init__(self, folder: Path, before: Callable[[], None], limit: float) -> None:
        self.out = folder / "out"
        self._log = folder / "log"
        self._temporary = folder / "temporary"
        self._before, self._limit = before, limit
        self.clear()

    def run(self, arguments: Sequence[str], moment: float | None = None) -> int:
        """Run a command, and kill it at a moment, in seconds; return its exit code."""
        began = time.monotonic()
        pid = os.fork()
        if not pid:
            self._become(arguments)
        end = began + (self._limit if moment is None else moment)
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.001 if moment is not None else 0.01)
        os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return _HUNG if moment is None else code

    @property
    def said(self) -> str:
        """The end of what the last command printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def files(self) -> set[str]:
        """Return the files in the output folder and in that of temporary files, hidden ones too."""
        paths = [*self.out.rglob("*"), *self._temporary.rglob("*")]
        return {os.path.relpath(path, self.out) for path in paths if path.is_file()}

    def faults(self, files: set[str]) -> list[str]:
        """Return what is wrong with those of some files that are there."""
        found = (fault_in(self.out / name) for name in sorted(files & self.files()))
        return [text for text in found if text]

    def clear(self) -> None:
        """Empty both folders."""
        for folder in (self.out, self._temporary):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def _become(self, arguments: Sequence[str]) -> None:
        """Run a command in this process, and end it."""
        code = _CRASHED & 0xFF
        try:
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            null = os.open(os.devnull, os.O_RDONLY)
            for number, to in ((0, null), (1, log), (2, log)):
                os.dup2(to, number)
            os.environ |= {"UNMIX_CACHE": str(self.out), "NO_PROXY": "127.0.0.1"}
            tempfile.tempdir = str(self._temporary)
            self._before()
            import torch

            from unmix.cli import main

            torch.set_num_threads(1)
            try:
                main(arguments)
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)


def _import_all() -> None:
    """Import what takes long, so that a command starts at once."""
    import lightning.fabric
    import torch

    import unmix.evaluation.report.page
    import unmix.evaluation.runner
    import unmix.songs.karaoke
    import unmix.songs.separator
    import unmix.training.loop

    del lightning, torch, unmix
