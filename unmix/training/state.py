"""The state of a training run: all that changes from step to step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from .._version import __version__
from ..models import Model
from .average import MovingAverage
from .config import Recipe


class State:
    """Model, average, optimizer, schedule and random numbers: what a checkpoint holds."""

    def __init__(
        self,
        model: Model,
        average: MovingAverage,
        optimizer: Any,
        schedule: LambdaLR,
    ) -> None:
        self.model = model
        self.average = average
        self.step = 0
        #: Whether every part has done the same number of steps.
        self.whole = True
        self._schedule = schedule
        self._parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
        self._best = -math.inf
        self._random = _random_state()

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._schedule.get_last_lr()[0])

    @contextlib.contextmanager
    def advancing(self) -> Iterator[None]:
        """Do one step: the optimizer's within this context, all that follows from it after it.

        An interruption within leaves a state that is not whole, and must not be saved.
        """
        self.whole = False
        yield
        self._schedule.step()
        self.average.update(self.model)
        self._random = _random_state()
        self.step += 1
        self.whole = True

    def improves(self, score: float) -> bool:
        """Return whether a score is the best so far, and remember it if it is."""
        better = score > self._best
        self._best = max(score, self._best)
        return better

    def dump(self, recipe: Recipe) -> dict[str, Any]:
        """Return what ``load`` takes, and the recipe, from which the model can be built again."""
        return {name: part.state_dict() for name, part in self._parts.items()} | {
            "average": self.average.state,
            "updates": self.average.updates,
            "step": self.step,
            "best": self._best,
            "random": self._random,
            "recipe": recipe.model_dump(mode="json"),
            "version": __version__,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.average.load(state["average"], state["updates"])
        self.step, self._best, self._random = state["step"], state["best"], state["random"]
        torch.set_rng_state(self._random[0])
        for device, generator in enumerate(self._random[1:]):
            torch.cuda.set_rng_state(generator, device)


def _random_state() -> list[Tensor]:
    """Return the states of torch's generators: the CPU's, then every CUDA device's."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if _cuda() else [])]


def _cuda() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()
