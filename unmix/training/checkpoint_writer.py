"""Writes the checkpoints of a run: the last one every few minutes, and the best one."""

from __future__ import annotations

import time

from .checkpoint import save_checkpoint
from .run import Listener, Run
from .setup import Trainee


class CheckpointWriter:
    """Writes the checkpoints of a run, in the main process only; also measures its speed.

    Args:
        run: the run, which names the files.
        trainee: the model in training, whose state is written.
        listener: called when the last checkpoint has been written.
    """

    def __init__(self, run: Run, trainee: Trainee, listener: Listener) -> None:
        self._run, self._state, self._listener = run, trainee.state, listener
        self._writes = trainee.fabric.is_global_zero
        self._first = trainee.state.step
        self._earlier = trainee.state.seconds
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
