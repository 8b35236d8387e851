"""The exponential moving average of a model's weights: what training releases.

Averaging the last thousand steps does what a lower learning rate would, for nothing: Polyak and
Juditsky, "Acceleration of stochastic approximation by averaging" (SIAM J. Control Optim. 1992).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """Shadows a model's parameters and buffers, and keeps the first ones where they have a share.

    Args:
        model: what to follow.
        decay: share of the average that stays at each update, once warm: early on the average
            follows faster, so that the random start is forgotten.
        start_share: share of the weights that the model has now in what is released. Between tuned
            weights and those that they were tuned from lie some that are better than either, on
            what neither was trained on: Wortsman et al., "Robust fine-tuning of zero-shot models"
            (CVPR 2022).
    """

    def __init__(self, model: nn.Module, decay: float, start_share: float = 0.0) -> None:
        self._decay = decay
        self._start_share = start_share
        self.updates = 0
        self._moving = _copies(model)
        self._start = _copies(model) if start_share else {}

    @property
    def state(self) -> dict[str, Tensor]:
        """What gets released: the average, but for the share of the start."""
        return {
            name: value.lerp(self._start[name], self._start_share)
            if self._start and value.is_floating_point()
            else value
            for name, value in self._moving.items()
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model's present weights."""
        self.updates += 1
        decay = min(self._decay, self.updates / (10 + self.updates))
        for name, value in model.state_dict().items():
            shadow = self._moving[name]
            if shadow.is_floating_point():
                shadow.lerp_(value.to(shadow), 1 - decay)
            else:
                shadow.copy_(value)

    def dump(self) -> dict[str, Any]:
        """Return what is released, as ``average``, and what else ``load`` needs: save it before the
        next update, which changes it.
        """
        further = {"moving": self._moving, "start": self._start} if self._start else {}
        return {"average": self.state, "updates": self.updates, **further}

    def load(self, held: Mapping[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self.updates = held["updates"]
        for name, value in held["moving" if self._start else "average"].items():
            self._moving[name].copy_(value)
        for name, value in self._start.items():
            value.copy_(held["start"][name])


def _copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
