"""A training run: its recipe, folders and device, and the callbacks it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import ConfigError
from ..models import Model
from .config import Recipe, TrainConfig


@dataclass(frozen=True)
class Run:
    """What to train, from which data, on which device, into which folder.

    Raises:
        ConfigError: ``resume`` and ``init`` are both set.
    """

    recipe: Recipe
    train: TrainConfig
    """The table [train] of the recipe, with any overrides."""
    data: Path
    """Data folder; paths in the recipe are relative to it."""
    out: Path
    """Folder for checkpoints and logs."""
    workers: int = 2
    """Processes that load data; 0 loads in the process that trains."""
    device: str = "auto"
    resume: bool = False
    """Whether to continue from the last checkpoint in ``out``."""
    init: str | None = None
    """Model whose weights to start from, by name or path; default: random weights."""

    def __post_init__(self) -> None:
        if self.resume and self.init:
            raise ConfigError(
                f"a resumed run keeps its own weights: give either --resume or --init {self.init}"
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
    """Callbacks of the training loop, for progress bars and logs."""

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        """Called after each step; ``loss`` is NaN if the step was skipped."""

    def validated(self, step: int, scores: dict[str, float]) -> None:
        """Called after each validation of the averaged weights, with the SDR in dB by stem."""

    def saved(self, path: Path) -> None:
        """Called when a checkpoint has been written."""


class Validator(Protocol):
    """Scores a model on whole tracks."""

    def __call__(self, model: Model) -> dict[str, float]:
        """Return the SDR in dB by stem."""
