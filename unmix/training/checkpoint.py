"""Checkpoints, written whole or not at all: the last one every few minutes, and the best one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from ..errors import UnmixError
from ..storage import written_whole
from .distributed import is_main_process
from .run import Listener, Run
from .state import State


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` to a temporary file, then rename it to ``path``.

    If the process is killed, the disk is full or the power fails, the previous checkpoint stays as
    it was. A temporary file that is left behind is overwritten by the next run.

    Raises:
        UnmixError: the file cannot be written.
    """
    try:
        with written_whole(path, fsync=True) as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:
        raise UnmixError(
            f"{path}: cannot write the checkpoint ({error}); is the disk full?"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, tensors and plain values; loading runs no code.

    Raises:
        UnmixError: there is no such file, or it is not a checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UnmixError(f"{path}: no checkpoint to resume from") from None
    except Exception as error:
        raise UnmixError(f"{path}: not a training checkpoint, or damaged") from error
    if not isinstance(state, dict):
        raise UnmixError(f"{path}: not a training checkpoint, or damaged")
    return state


class CheckpointWriter:
    """Writes the checkpoints of a run, in the main process only; also measures its speed.

    Args:
        run: the run, which names the files.
        state: what is written.
        listener: called when the last checkpoint has been written.
    """

    def __init__(self, run: Run, state: State, listener: Listener) -> None:
        self._run, self._state, self._listener = run, state, listener
        self._writes = is_main_process()
        self._first = state.step
        self._earlier = state.seconds
        self._began = self._saved = time.monotonic()

    @property
    def rate(self) -> float:
        """Steps per second."""
        return (self._state.step - self._first) / (time.monotonic() - self._began)

    def save_last(self, *, now: bool) -> None:
        """Write the last checkpoint if it is due, or ``now``; never without a new step."""
        late = time.monotonic() - self._saved > 60 * self._run.train.checkpoint_minutes
        if self._write_last(now or late):
            self._listener.saved(self._run.last)
            self._saved = time.monotonic()

    def save_best(self) -> None:
        """Write the best checkpoint."""
        if self._writes:
            save_checkpoint(self._run.best, self._state.dump(self._run.recipe))

    def save_interrupted(self) -> None:
        """Write the last checkpoint of an interrupted run, unless it is inside a step."""
        self._write_last(self._state.whole)

    def _write_last(self, wanted: bool) -> bool:
        state = self._state
        state.seconds = self._earlier + time.monotonic() - self._began
        if not self._writes or not wanted or state.step == self._first:
            return False
        save_checkpoint(self._run.last, state.dump(self._run.recipe))
        return True
