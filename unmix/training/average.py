"""The exponential moving average of a model's weights: what training releases.

Averaging the last thousand steps does what a lower learning rate would, for nothing: Polyak and
Juditsky, "Acceleration of stochastic approximation by averaging" (SIAM J. Control Optim. 1992).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MovingAverage:
    """Shadows a model's parameters and buffers.

    Args:
        model: what to follow.
        decay: share of the average that stays at each update, once warm: early on the average
            follows faster, so that the random start is forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.updates = 0
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model's present weights."""
        self.updates += 1
        decay = min(self._decay, self.updates / (10 + self.updates))
        for name, value in model.state_dict().items():
            shadow = self.state[name]
            if shadow.is_floating_point():
                shadow.lerp_(value.to(shadow), 1 - decay)
            else:
                shadow.copy_(value)

    def load(self, state: dict[str, Tensor], updates: int) -> None:
        """Continue from what a checkpoint holds."""
        self.updates = updates
        for name, value in state.items():
            self.state[name].copy_(value)
