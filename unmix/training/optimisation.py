"""Optimizers, learning rate schedules and gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer, RMSprop

from .config import OptimisationConfig, TrainConfig
from .muon import Muon


def build_optimizer(parameters: Iterable[nn.Parameter], config: OptimisationConfig) -> Optimizer:
    """Return the optimizer of a recipe."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "muon":
        return Muon(parameters, rate, weight_decay=decay)
    if config.optimizer == "rmsprop":
        return RMSprop(parameters, rate, weight_decay=decay)
    kind = AdamW if config.optimizer == "adamw" else Adam
    return kind(parameters, rate, weight_decay=decay, amsgrad=config.amsgrad)


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Return the factor of the learning rate after ``step`` steps: warm-up, then the schedule.

    The reductions of a plateau depend on scores, not on the step; see ``Schedule``.
    """
    schedule = config.schedule
    if step < config.warmup:
        return (step + 1) / config.warmup
    if schedule.kind == "linear":
        falling = config.steps * config.decay_from
        if step < falling:
            return 1.0
        return max(0.0, (config.steps - step) / (config.steps - falling))
    if schedule.kind == "cosine":
        cycle = schedule.every or config.steps
        gone = step % cycle / cycle if schedule.every else min(1.0, step / cycle)
        return schedule.floor + (1 - schedule.floor) * (1 + math.cos(math.pi * gone)) / 2
    if schedule.kind == "steps":
        return float(schedule.factor ** (step // schedule.every))
    return 1.0


class Schedule:
    """Sets an optimizer's learning rate, from the step and the scores so far."""

    def __init__(self, optimizer: Optimizer, config: TrainConfig) -> None:
        self._optimizer = optimizer
        self._config = config
        self._falls = 0
        self._waited = 0
        self.to(0)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def to(self, step: int) -> None:
        """Set the learning rate of the step that follows ``step`` steps."""
        factor = learning_rate_factor(step, self._config)
        fallen = self._config.schedule.factor**self._falls
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.learning_rate * factor * fallen

    def validated(self, step: int, better: bool) -> None:
        """Take a validation into account; on a plateau, reduce the learning rate."""
        schedule = self._config.schedule
        if schedule.kind != "plateau":
            return
        self._waited = 0 if better else self._waited + 1
        if self._waited >= schedule.patience:
            self._falls, self._waited = self._falls + 1, 0
            self.to(step)

    def state_dict(self) -> dict[str, int]:
        """Return the state for ``load_state_dict``."""
        return {"falls": self._falls, "waited": self._waited}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore the state; call ``to`` to set the learning rate."""
        self._falls, self._waited = state["falls"], state["waited"]


def limit_gradients(fabric: Fabric, network: Any, optimizer: Any, clip_norm: float) -> Tensor:
    """Clip the norm of the gradient to ``clip_norm``, if above 0; return the norm before.

    The scaling of losses is undone first.
    """
    limit = clip_norm or math.inf
    norm = fabric.clip_gradients(network, optimizer, max_norm=limit, error_if_nonfinite=False)
    assert norm is not None
    return norm


def scales_losses(fabric: Fabric) -> bool:
    """Whether a loss scaler, used with float16, detects and skips infinite gradients."""
    return getattr(fabric.strategy.precision, "scaler", None) is not None


def discard_gradients(fabric: Fabric, optimizer: Any) -> None:
    """Discard gradients that are not finite; update the loss scaler, if any."""
    if scales_losses(fabric):
        scaler: torch.amp.GradScaler = fabric.strategy.precision.scaler  # type: ignore[attr-defined]
        scaler.update()
    optimizer.zero_grad()
