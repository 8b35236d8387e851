"""A run: a recipe, where it reads and writes, and on what it computes; and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import ConfigError
from ..models import Model
from .config import Recipe, TrainConfig


@dataclass(frozen=True)
class Run:
    """Where a run reads and writes, and on what it computes.

    Raises:
        ConfigError: where it is to go on, and to start from other weights.
    """

    recipe: Recipe
    train: TrainConfig
    data: Path
    """Folder that the recipe's paths are relative to."""
    out: Path
    """Folder for checkpoints and logs."""
    workers: int = 2
    device: str = "auto"
    resume: bool = False
    init: str | None = None
    """Model whose weights to start from, by name or path; random ones where not given."""

    def __post_init__(self) -> None:
        if self.resume and self.init:
            raise ConfigError(
                f"a run that goes on has weights of its own: either --resume, or --init {self.init}"
            )

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.out / "last.ckpt"

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation score."""
        return self.out / "best.ckpt"


class Listener(Protocol):
    """Whom the loop tells what happens; the command line draws a progress bar with it."""

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        """Step ``step`` is done, at that learning rate; the loss of one left out is no number."""

    def validated(self, step: int, scores: dict[str, float]) -> None:
        """The averaged weights have been scored, in dB by stem."""

    def saved(self, path: Path) -> None:
        """A checkpoint was written."""


class Validator(Protocol):
    """Scores a model on whole tracks."""

    def __call__(self, model: Model) -> dict[str, float]:
        """Return scores in dB by stem."""
