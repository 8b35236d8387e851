"""Logs of a run: loss and scores as CSV files, which a resumed run continues."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from ..errors import UnmixError
from ..storage import written_whole
from .run import Listener

# Steps between two rows of log.csv.
_EVERY = 10


class MovingLoss:
    """Moving average of the loss over about fifty steps, without skipped ones."""

    def __init__(self) -> None:
        self.value = math.nan

    def add(self, loss: float) -> None:
        """Add the loss of one step; NaN for a skipped one."""
        if math.isnan(self.value):
            self.value = loss
        elif not math.isnan(loss):
            self.value = 0.98 * self.value + 0.02 * loss


class CsvLog:
    """A listener that writes ``log.csv``, every tenth step, and ``scores.csv`` into a folder.

    A resumed run repeats the steps since its checkpoint and replaces their rows.

    Raises:
        UnmixError: a log cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loss = MovingLoss()
        self._skipped = 0
        self._begun: set[str] = set()

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        """Log every tenth step: moving average of the loss, learning rate, speed, skipped steps."""
        self._loss.add(loss)
        self._skipped += math.isnan(loss)
        if step % _EVERY == 0:
            row = {
                "loss": f"{self._loss.value:.6f}",
                "learning_rate": f"{learning_rate:.3e}",
                "items_per_second": f"{items_per_second:.2f}",
                "skipped": str(self._skipped),
            }
            self._skipped = 0
            self._append("log.csv", step, row)

    def validated(self, step: int, scores: dict[str, float]) -> None:
        """Log the scores in dB."""
        self._append("scores.csv", step, {stem: f"{dB:.4f}" for stem, dB in scores.items()})

    def saved(self, path: Path) -> None:
        """Log nothing."""

    def _append(self, name: str, step: int, row: dict[str, str]) -> None:
        path = self._folder / name
        try:
            if name not in self._begun:
                self._begun.add(name)
                self._begin(path, step, ["step", *row])
            with path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow([step, *row.values()])
        except OSError as error:
            raise UnmixError(f"{path}: cannot write the log ({error}); is the disk full?") from None

    def _begin(self, path: Path, step: int, header: list[str]) -> None:
        """Keep the complete rows of an earlier run for steps before ``step``."""
        kept = [row for row in _rows(path) if len(row) == len(header) and _step(row) < step]
        with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *kept])


class Listeners:
    """Several listeners as one."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        """Call all listeners after a step."""
        for listener in self._listeners:
            listener.step(step, loss, learning_rate, items_per_second)

    def validated(self, step: int, scores: dict[str, float]) -> None:
        """Call all listeners after a validation."""
        for listener in self._listeners:
            listener.validated(step, scores)

    def saved(self, path: Path) -> None:
        """Call all listeners after a checkpoint."""
        for listener in self._listeners:
            listener.saved(path)


def _rows(path: Path) -> list[list[str]]:
    """Return the rows of an earlier log, without the header and without an unfinished last line."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    return list(csv.reader(whole.splitlines()))[1:]


def _step(row: list[str]) -> float:
    """Return the step of a row; infinity if the row is damaged."""
    return int(row[0]) if row[0].isdecimal() else math.inf
