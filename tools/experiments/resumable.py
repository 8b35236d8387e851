"""A run that a tool needs complete: trained, gone on with, or left as it is."""

from __future__ import annotations

from pathlib import Path

from unmix.training.checkpoint import load_checkpoint
from unmix.training.loop import train
from unmix.training.run import Listener, Run


def complete(run: Run, listener: Listener) -> Path:
    """Return the last checkpoint of a run whose steps are all done, after doing those that lack."""
    if run.resume and load_checkpoint(run.last)["step"] >= run.train.steps:
        return run.last
    return train(run, listener)
