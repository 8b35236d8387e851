"""Group normalisation (Wu and He, "Group Normalization", ECCV 2018), accurate on the CPU."""

from __future__ import annotations

from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """Torch's group normalisation, after the mean of the features is removed.

    In the channels-last layout, torch computes variances on the CPU as the mean of squares minus
    the square of the mean. With a mean ten times the deviation, the error is one percent; without
    the mean, below 0.01 percent. One group per map is instance normalisation, which in evaluation
    mode is about five times faster than torch's own.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return normalised features ``[B, W, F, T]``."""
        # Detached, because the result does not depend on the means.
        means = input.detach().mean((2, 3), keepdim=True)
        groups = means.unflatten(1, (self.num_groups, -1))
        shared = groups.mean(2, keepdim=True).expand_as(groups).flatten(1, 2)
        return super().forward(input - shared)
