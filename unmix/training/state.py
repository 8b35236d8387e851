"""The state of a training run: everything that changes from step to step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning.fabric.plugins.precision import Precision
from torch import Tensor

from .._version import __version__
from ..models import Model
from .average import MovingAverage
from .config import Recipe, TrainConfig
from .interrupts import defer_signals
from .optimisation import Schedule


class State:
    """The content of a checkpoint: model, average, optimizer, schedule and random state.

    Args:
        model: the model, not wrapped by fabric.
        average: moving average of its weights.
        optimizer: optimizer of its weights.
        schedule: learning rate schedule of the optimizer.
        precision: precision plugin, which holds the loss scaler if there is one.
        further: other parts by name that have a ``state_dict``, such as critics.
    """

    def __init__(
        self,
        model: Model,
        average: MovingAverage,
        optimizer: Any,
        schedule: Schedule,
        precision: Precision,
        further: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.average = average
        self.step = 0
        #: Steps skipped because their loss or gradient was not finite: in total, and in a row.
        self.skipped = self.skipped_in_a_row = 0
        #: The last step after which the model was validated.
        self.validated = 0
        #: Duration so far, including earlier runs, loading and validation.
        self.seconds = 0.0
        #: Whether all parts have done the same number of steps; only then may they be saved.
        self.whole = True
        self._schedule = schedule
        self._parts = {
            "model": model,
            "optimizer": optimizer,
            "schedule": schedule,
            "precision": precision,
            **(further or {}),
        }
        self._best = -math.inf
        self._without_gain = 0
        self._random = _random_state()

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return self._schedule.learning_rate

    def finished(self, config: TrainConfig) -> bool:
        """Whether all steps are done, or ``patience`` validations brought no better score."""
        return self.step >= config.steps or 0 < config.patience <= self._without_gain

    @contextlib.contextmanager
    def advancing(self) -> Iterator[None]:
        """Do one step: run the optimizer's step inside this context; the rest follows at its end.

        Signals are deferred. Any other exception leaves a state that is not whole.
        """
        with defer_signals():
            self.whole = False
            yield
            self.average.update(self.model)
            self.skipped_in_a_row = 0
            self._advance()

    @contextlib.contextmanager
    def attempting(self) -> Iterator[list[Tensor]]:
        """Try a step; if it is interrupted, restore the buffers of the model.

        Buffers, the running statistics of norms, are all that changes before the optimizer's step;
        the random state is saved as it was before. Yields copies of the buffers.
        """
        buffers = [buffer.clone() for buffer in self.model.buffers()]
        step = self.step
        try:
            yield buffers
        except BaseException:
            if self.step == step:
                self._restore_buffers(buffers)
            raise

    def skip(self, buffers: list[Tensor]) -> None:
        """Count a skipped step, and restore the buffers of the model."""
        self._restore_buffers(buffers)
        self.whole = False
        self.skipped += 1
        self.skipped_in_a_row += 1
        self._advance()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[Model]:
        """Yield the model with the weights to release, in evaluation mode."""
        own = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.whole = False
        try:
            self.model.load_state_dict(self.average.state)
            self.model.eval()
            yield self.model
        finally:
            self.model.load_state_dict(own)
            self.model.train()
            self.whole = True

    def improves(self, score: float) -> bool:
        """Whether a score is better than the best so far."""
        return score > self._best

    def judge(self, score: float) -> None:
        """Record a validation score."""
        better = self.improves(score)
        self._best = max(score, self._best)
        self._without_gain = 0 if better else self._without_gain + 1
        self._schedule.validated(self.step, better)
        self.validated = self.step

    def dump(self, recipe: Recipe) -> dict[str, Any]:
        """Return the content of a checkpoint: what ``load`` takes, and the recipe."""
        return {name: part.state_dict() for name, part in self._parts.items()} | {
            **self.average.dump(),
            "step": self.step,
            "skipped": [self.skipped, self.skipped_in_a_row],
            "validated": [self.validated, self._without_gain],
            "best": self._best,
            "seconds": self.seconds,
            "random": self._random,
            "recipe": recipe.model_dump(mode="json"),
            "version": __version__,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore what ``dump`` returned."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.average.load(state)
        self.step, self._best, self._random = state["step"], state["best"], state["random"]
        self.skipped, self.skipped_in_a_row = state["skipped"]
        self.validated, self._without_gain = state["validated"]
        self.seconds = state.get("seconds", 0.0)  # missing in older checkpoints
        self._schedule.to(self.step)
        torch.set_rng_state(self._random[0])
        # There may be fewer devices than before.
        for device, generator in zip(range(_devices()), self._random[1:], strict=False):
            torch.cuda.set_rng_state(generator, device)

    def _restore_buffers(self, buffers: list[Tensor]) -> None:
        whole, self.whole = self.whole, False
        for buffer, kept in zip(self.model.buffers(), buffers, strict=True):
            buffer.copy_(kept)
        self.whole = whole

    def _advance(self) -> None:
        self.step += 1
        self._schedule.to(self.step)
        self._random = _random_state()
        self.whole = True


def _random_state() -> list[Tensor]:
    """Return the states of torch's generators: that of the CPU, then one per CUDA device."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if _cuda() else [])]


def _devices() -> int:
    return torch.cuda.device_count()


def _cuda() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()
