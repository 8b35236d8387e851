"""The exponential moving average of a model's weights, which is what training releases.

Averaging over the last steps has the effect of a lower learning rate at no cost: Polyak and
Juditsky, "Acceleration of stochastic approximation by averaging" (SIAM J. Control Optim. 1992).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """The average of a model's parameters and buffers, interpolated with the initial ones.

    ``torch.optim.swa_utils.AveragedModel`` copies the weights at the first update and keeps a whole
    model; here the average starts from the initial weights, with a decay that warms up.

    Args:
        model: the model, with its initial weights.
        decay: share of the average that stays at each update. During the first updates it is
            smaller, so that random initial weights are forgotten.
        start_share: share of the initial weights in the released ones. Between fine-tuned weights
            and their start lie weights that generalise better than either: Wortsman et al.,
            "Robust fine-tuning of zero-shot models" (CVPR 2022).
    """

    def __init__(self, model: nn.Module, decay: float, start_share: float = 0.0) -> None:
        self._decay = decay
        self._start_share = start_share
        self.updates = 0
        self._moving = _copies(model)
        self._start = _copies(model) if start_share else {}

    @property
    def state(self) -> dict[str, Tensor]:
        """The weights to release: the average, interpolated with the initial weights."""
        return {
            name: value.lerp(self._start[name], self._start_share)
            if self._start and value.is_floating_point()
            else value
            for name, value in self._moving.items()
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's current weights."""
        self.updates += 1
        decay = min(self._decay, self.updates / (10 + self.updates))
        for name, value in model.state_dict().items():
            shadow = self._moving[name]
            if shadow.is_floating_point():
                shadow.lerp_(value.to(shadow), 1 - decay)
            else:
                shadow.copy_(value)

    def dump(self) -> dict[str, Any]:
        """Return the state for ``load``; its key ``average`` holds the weights to release.

        The tensors are not copies: save them before the next update.
        """
        further = {"moving": self._moving, "start": self._start} if self._start else {}
        return {"average": self.state, "updates": self.updates, **further}

    def load(self, held: Mapping[str, Any]) -> None:
        """Restore what ``dump`` returned."""
        self.updates = held["updates"]
        for name, value in held["moving" if self._start else "average"].items():
            self._moving[name].copy_(value)
        for name, value in self._start.items():
            value.copy_(held["start"][name])


def _copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
