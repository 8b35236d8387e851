"""Songs one after another, with progress bars, a line for each file, and a summary."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from .._version import __version__
from ..errors import UnmixError
from ..storage import one_name
from ._console import (
    INTERRUPTED,
    clock,
    notes,
    plain_items,
    print_json,
    results,
    say_error,
    say_warning,
    visible,
)
from ._inputs import Song

if TYPE_CHECKING:
    from ..songs.render import Result

FAILED = 1

_NAME = 32  # characters of a song's name beside its progress bar


@dataclass(frozen=True)
class Done:
    """What a verb did with a song."""

    result: Result
    files: tuple[Path, ...]
    """Files that were written, to print on a line each."""
    more: Mapping[str, object] = field(default_factory=dict)
    """Further values of the song's JSON record."""


Work = Callable[[Song, Callable[[float], None]], Done]


def run_batch(
    verb: str, songs: Sequence[Song], prepare: Callable[[], Work], *, as_json: bool, debug: bool
) -> None:
    """Process songs, report, and exit with the code for the outcome.

    Args:
        verb: name of the command.
        songs: the songs; those with an error are only reported.
        prepare: loads the model and returns what to do with a song; called once, if there is one.
        as_json: whether to print one JSON document instead of lines and progress bars.
        debug: whether to show tracebacks.

    Raises:
        typer.Exit: always.
    """
    batch = _Batch(verb, as_json=as_json, debug=debug)
    try:
        batch.run(songs, prepare)
    except KeyboardInterrupt:
        batch.interrupted = True
    raise typer.Exit(batch.report())


class Claims:
    """Which song each file of this run belongs to, so that songs never share or replace files.

    Args:
        songs: all songs of the run.
    """

    def __init__(self, songs: Sequence[Song] = ()) -> None:
        self._owners: dict[str, Path] = {}
        self._songs = {_place(song.path): song.path for song in songs if not song.error}

    def add(self, song: Path, paths: Iterable[Path], remedy: str) -> None:
        """Claim paths for the results of a song.

        Raises:
            UnmixError: another song has claimed one of them, or is one of them.
        """
        for path in paths:
            place = _place(path)
            other = self._songs.get(place, song)
            if other != song:
                raise UnmixError(f"{song}: {path} is a song of this run itself; {remedy}")
            owner = self._owners.setdefault(place, song)
            if owner != song:
                raise UnmixError(f"{song}: {path} is already the result of {owner}; {remedy}")


def _place(path: Path) -> str:
    return one_name(Path(os.path.realpath(path)))  # which accepts circular links


class _Batch:
    def __init__(self, verb: str, *, as_json: bool, debug: bool) -> None:
        self.interrupted = False
        self._verb = verb
        self._json = as_json
        self._debug = debug
        self._error: str | None = None
        self._records: list[dict[str, object]] = []
        self._seconds = 0.0
        self._started = time.perf_counter()

    def run(self, songs: Sequence[Song], prepare: Callable[[], Work]) -> None:
        """Process all songs; one that fails is reported and does not stop the others."""
        work: Work | None = None
        if not all(song.error for song in songs):
            try:
                work = prepare()
            except UnmixError as error:
                self._error = str(error)
                self._show(error)
                return
        self._started = time.perf_counter()
        with _Bars([song for song in songs if not song.error], quiet=self._json) as bars:
            for song in songs:
                if song.error or work is None:
                    self._fail(song, UnmixError(song.error))
                    continue
                bars.begin(song)
                try:
                    done = _worked(work, song, bars.advance)
                except Exception as error:
                    bars.end()
                    self._fail(song, error)
                else:
                    bars.end()
                    self._succeed(song, done)

    def report(self) -> int:
        """Print the summary or the JSON document; return the exit code."""
        elapsed = time.perf_counter() - self._started
        counts = {
            status: sum(record["status"] == status for record in self._records)
            for status in ("done", "skipped", "failed")
        }
        if self._json:
            document = {
                "unmix": __version__,
                "command": self._verb,
                "songs": self._records,
                **counts,
                "seconds": self._seconds,
                "elapsed": elapsed,
                "speed": self._seconds / elapsed if elapsed else 0.0,
                "interrupted": self.interrupted,
                "error": self._error,
            }
            print_json(document)
        elif self._error is None:
            self._summarise(counts, elapsed)
        if self.interrupted:
            notes().print("Interrupted: no unfinished files are left.")
            return INTERRUPTED
        return FAILED if counts["failed"] or self._error else 0

    def _summarise(self, counts: dict[str, int], elapsed: float) -> None:
        done = counts["done"]
        parts = [f"{done} {'song' if done == 1 else 'songs'} done"]
        parts += [f"{counts[what]} {what}" for what in ("skipped", "failed") if counts[what]]
        line = ", ".join(parts)
        if done and elapsed:
            speed = self._seconds / elapsed
            line += f": {clock(self._seconds)} of audio in {clock(elapsed)}"
            line += f" ({speed:.{0 if speed >= 10 else 1}f} times real time)"
        notes().print(line)

    def _succeed(self, song: Song, done: Done) -> None:
        result = done.result
        self._seconds += result.seconds
        record = {"source": str(song.path), "status": "skipped" if result.skipped else "done"}
        self._records.append(
            {**record, "error": None, **plain_items(vars(result)), **plain_items(done.more)}
        )
        for sentence in result.warnings:
            say_warning(sentence)
        if result.skipped:
            notes().print(f"skipped: {song.path} (its files exist)")
        elif not self._json:
            for path in done.files:
                results().print(str(path))
            sys.stdout.flush()

    def _fail(self, song: Song, error: Exception) -> None:
        sentence = str(error)
        if not isinstance(error, UnmixError):
            sentence = f"{type(error).__name__}: {sentence} (a bug in unmix; --debug shows where)"
        if song.path.name not in sentence:
            sentence = f"{song.path}: {sentence}"
        self._records.append({"source": str(song.path), "status": "failed", "error": sentence})
        self._show(error, sentence)

    def _show(self, error: Exception, sentence: str | None = None) -> None:
        say_error(sentence or str(error))
        if self._debug and error.__traceback__ is not None:
            traceback.print_exception(error)


def _worked(work: Work, song: Song, advance: Callable[[float], None]) -> Done:
    """Process a song; a pipe is copied first, and messages name what the user named."""
    from ..audio.sources import source_path

    with source_path(str(song.path)) as path:
        if path == song.path:
            return work(song, advance)
        try:
            done = work(replace(song, path=path, copied=True), advance)
        except UnmixError as error:
            raise type(error)(str(error).replace(str(path), path.name)) from error
        return replace(done, result=replace(done.result, source=song.path))


class _Bars:
    """A progress bar for the song and one for the batch, only on a terminal."""

    def __init__(self, songs: Sequence[Song], *, quiet: bool) -> None:
        console = notes()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
            # Standard output may be a pipe: leave it alone.
            redirect_stdout=False,
            redirect_stderr=False,
            disable=quiet or not console.is_terminal,
        )
        self._several = len(songs) > 1
        self._total = sum(song.size for song in songs)
        self._count = len(songs)
        self._index = 0
        self._done = 0
        self._size = 0
        self._song: TaskID | None = None
        self._batch: TaskID | None = None

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, song: Song) -> None:
        """Show the bar of a new song."""
        self._index += 1
        self._size = song.size
        name = song.path.name
        name = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
        # Square brackets in a name are not markup.
        self._song = self._progress.add_task(visible(name).replace("[", r"\["), total=1.0)
        if self._several and self._batch is None:
            self._batch = self._progress.add_task("", total=self._total)
        if self._batch is not None:
            self._progress.update(self._batch, description=f"song {self._index} of {self._count}")
        self._progress.start()

    def advance(self, fraction: float) -> None:
        """Advance both bars; file sizes stand for the time that songs take."""
        if self._song is not None:
            self._progress.update(self._song, completed=fraction)
        if self._batch is not None:
            self._progress.update(self._batch, completed=self._done + fraction * self._size)

    def end(self) -> None:
        """Remove the song's bar, so that lines can be printed."""
        self._done += self._size
        if self._song is not None:
            self._progress.remove_task(self._song)
        self._progress.stop()
