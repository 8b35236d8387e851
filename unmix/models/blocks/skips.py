"""What the decoder does with the encoder's features: concatenate, add, multiply, gate, convolve.

A skip takes the decoder's features ``up``, ``[B, W, F, T]``, and those that come ``across`` at the
same level, and returns ``[B, parts * W, F, T]``. Concatenation is Ronneberger et al.'s (2015).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from .conv import Style, convolution


class Skip(nn.Module, ABC):
    """The meeting of what comes up and what comes across."""

    parts: int = 1
    """How many times the width it returns."""

    @abstractmethod
    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return ``[B, parts * W, F, T]`` of features ``[B, W, F, T]`` each."""


class Concatenate(Skip):
    """Side by side: what came across first, and last what comes up.

    Args:
        across: how many come across; one, but in nested networks.
    """

    def __init__(self, across: int = 1) -> None:
        super().__init__()
        self.parts = across + 1

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return ``[B, parts * W, F, T]``."""
        return torch.cat([*across, up], 1)


class Add(Skip):
    """The sum, as in Chaurasia and Culurciello, "LinkNet" (VCIP 2017)."""

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return ``[B, W, F, T]``."""
        return up + across[0]


class Multiply(Skip):
    """The product, as in Kim et al., "KUIELab-MDX-Net" (MDX Workshop at ISMIR 2021)."""

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return ``[B, W, F, T]``."""
        return up * across[0]


class AttentionGate(nn.Module):
    """A map in [0, 1] of where the features that come across matter to those that come up.

    Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas" (MIDL 2018). The gating
    features are those after the upsampling, so that both have the same size.

    Args:
        width: feature maps on both sides.
        style: norm and activation.
    """

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        inner = max(1, width // 2)
        self.up = nn.Sequential(convolution(width, inner, 1), style.normalise(inner))
        self.across = nn.Sequential(convolution(width, inner, 1), style.normalise(inner))
        self.gate = nn.Sequential(
            style.activate(), convolution(inner, 1, 1), style.normalise(1), nn.Sigmoid()
        )

    def forward(self, up: Tensor, across: Tensor) -> Tensor:
        """Return the gate ``[B, 1, F, T]`` of features ``[B, W, F, T]`` each."""
        gate: Tensor = self.gate(self.up(up) + self.across(across))
        return gate


class Gated(Concatenate):
    """What comes across passes an attention gate first."""

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.attention = AttentionGate(width, style)

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return ``[B, 2 * W, F, T]``."""
        return super().forward(up, [across[0] * self.attention(up, across[0])])


class _ResUnit(nn.Module):
    """A 3x3 convolution beside a 1x1 one."""

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(width, width), style.normalise(width), style.activate()
        )
        self.shortcut = nn.Sequential(convolution(width, width, 1), style.normalise(width))
        self.after = style.activate()

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.after(self.body(features) + self.shortcut(features))
        return result


class ResPath(nn.Sequential):
    """Residual units on the way across: the shallower the level, the more of them.

    Ibtehaz and Rahman, "MultiResUNet" (Neural Networks 2020): features that skip the whole network
    are made more like those they meet. Here the number of units and of maps is free; the paper has
    4, 3, 2, 1 units and narrows the maps on the way.

    Args:
        width: feature maps.
        units: residual units, one for every level below.
        style: norm and activation.
    """

    def __init__(self, width: int, units: int, style: Style) -> None:
        super().__init__(*(_ResUnit(width, style) for _ in range(units)))


class Convolved(Concatenate):
    """What comes across passes a ``ResPath`` first."""

    def __init__(self, width: int, units: int, style: Style) -> None:
        super().__init__()
        self.path = ResPath(width, units, style)

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return ``[B, 2 * W, F, T]``."""
        return super().forward(up, [self.path(across[0])])
