"""Skips: how the encoder's features join the decoder's.

A skip takes the decoder's features ``up``, ``[B, W, F, T]``, and the encoder's features ``across``
of the same level, and returns ``[B, parts * W, F, T]``. Ronneberger et al. (2015) concatenate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from .conv import Style, convolution


class Skip(nn.Module, ABC):
    """Joins the decoder's features and the encoder's."""

    parts: int = 1
    """How many times as wide the result is."""

    @abstractmethod
    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return features ``[B, parts * W, F, T]`` of ``[B, W, F, T]`` each."""


class Concatenate(Skip):
    """Concatenates the encoder's features and, last, the decoder's.

    Args:
        across: number of features from the encoder's side; one, except in nested networks.
    """

    def __init__(self, across: int = 1) -> None:
        super().__init__()
        self.parts = across + 1

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return features ``[B, parts * W, F, T]``."""
        return torch.cat([*across, up], 1)


class Add(Skip):
    """The sum, as in Chaurasia and Culurciello, "LinkNet" (VCIP 2017)."""

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return features ``[B, W, F, T]``."""
        return up + across[0]


class Multiply(Skip):
    """The product, as in Kim et al., "KUIELab-MDX-Net" (MDX Workshop at ISMIR 2021)."""

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return features ``[B, W, F, T]``."""
        return up * across[0]


class AttentionGate(nn.Module):
    """A map in [0, 1] of where the encoder's features matter to the decoder's.

    Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas" (MIDL 2018). Here the
    decoder's features are upsampled first, so that both have the same size.

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
    """Concatenates after an attention gate on the encoder's features."""

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.attention = AttentionGate(width, style)

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return features ``[B, 2 * W, F, T]``."""
        return super().forward(up, [across[0] * self.attention(up, across[0])])


class _ResUnit(nn.Module):
    """A 3x3 convolution beside a 1x1 convolution."""

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
    """Residual units on a skip: more at shallower levels.

    Ibtehaz and Rahman, "MultiResUNet" (Neural Networks 2020): the units make the encoder's features
    more like the decoder's. The paper has 4, 3, 2 and 1 units and narrows the maps on the way; here
    both numbers are free.

    Args:
        width: feature maps.
        units: residual units; one for every level below.
        style: norm and activation.
    """

    def __init__(self, width: int, units: int, style: Style) -> None:
        super().__init__(*(_ResUnit(width, style) for _ in range(units)))


class Convolved(Concatenate):
    """Concatenates after a ``ResPath`` on the encoder's features."""

    def __init__(self, width: int, units: int, style: Style) -> None:
        super().__init__()
        self.path = ResPath(width, units, style)

    def forward(self, up: Tensor, across: list[Tensor]) -> Tensor:
        """Return features ``[B, 2 * W, F, T]``."""
        return super().forward(up, [self.path(across[0])])
