"""The state of a training run: all that changes from step to step."""

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
    """Model, average, optimizer, schedule and random numbers: what a checkpoint holds.

    Args:
        model: as it is built, not as it is wrapped.
        average: of its weights.
        optimizer: of its weights.
        schedule: of the optimizer's learning rate.
        precision: what scales losses, where 16-bit floats need that.
        further: parts by name, with a ``state_dict`` each: critics, say.
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
        #: Steps left out because their loss or gradient was no number: in all, and the last ones.
        self.skipped = self.skipped_in_a_row = 0
        #: The last step after which the model was scored.
        self.validated = 0
        #: How long the steps have taken so far, all runs together, with reading and validation.
        self.seconds = 0.0
        #: Whether every part has done the same number of steps.
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
        self._in_vain = 0
        self._random = _random_state()

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return self._schedule.learning_rate

    def finished(self, config: TrainConfig) -> bool:
        """Whether all steps are done, or too many validations have brought nothing better."""
        return self.step >= config.steps or 0 < config.patience <= self._in_vain

    @contextlib.contextmanager
    def advancing(self) -> Iterator[None]:
        """Do one step: the optimizer's within this context, all that follows from it after it.

        Signals wait; whatever else ends it leaves a state that is not whole, and must not be saved.
        """
        with defer_signals():
            self.whole = False
            yield
            self.average.update(self.model)
            self.skipped_in_a_row = 0
            self._advance()

    @contextlib.contextmanager
    def attempting(self) -> Iterator[list[Tensor]]:
        """Try a step: where something breaks it off, the model gets its buffers back.

        These, the running statistics of its norms, are all that changes before the optimizer's
        step; random numbers that were drawn are not in what is saved. Lends the buffers' copies.
        """
        buffers = [buffer.clone() for buffer in self.model.buffers()]
        step = self.step
        try:
            yield buffers
        except BaseException:
            if self.step == step:
                self._put_back(buffers)
            raise

    def skip(self, buffers: list[Tensor]) -> None:
        """Count a step whose batch is left out, and give the model its buffers back."""
        self._put_back(buffers)
        self.whole = False
        self.skipped += 1
        self.skipped_in_a_row += 1
        self._advance()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[Model]:
        """Lend the model with the weights that would be released, ready to separate."""
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
        """Remember that the model was scored."""
        better = self.improves(score)
        self._best = max(score, self._best)
        self._in_vain = 0 if better else self._in_vain + 1
        self._schedule.validated(self.step, better)
        self.validated = self.step

    def dump(self, recipe: Recipe) -> dict[str, Any]:
        """Return what ``load`` takes, and the recipe, from which the model can be built again."""
        return {name: part.state_dict() for name, part in self._parts.items()} | {
            **self.average.dump(),
            "step": self.step,
            "skipped": [self.skipped, self.skipped_in_a_row],
            "validated": [self.validated, self._in_vain],
            "best": self._best,
            "seconds": self.seconds,
            "random": self._random,
            "recipe": recipe.model_dump(mode="json"),
            "version": __version__,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.average.load(state)
        self.step, self._best, self._random = state["step"], state["best"], state["random"]
        self.skipped, self.skipped_in_a_row = state["skipped"]
        self.validated, self._in_vain = state["validated"]
        self.seconds = state.get("seconds", 0.0)  # older checkpoints do not tell
        self._schedule.to(self.step)
        torch.set_rng_state(self._random[0])
        # There may be fewer devices than there were.
        for device, generator in zip(range(_devices()), self._random[1:], strict=False):
            torch.cuda.set_rng_state(generator, device)

    def _put_back(self, buffers: list[Tensor]) -> None:
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
    """Return the states of torch's generators: the CPU's, then every CUDA device's."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if _cuda() else [])]


def _devices() -> int:
    return torch.cuda.device_count()


def _cuda() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()
