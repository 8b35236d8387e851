"""Convolutions with norm and activation, and the plain and the residual block made of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

Norm = Literal["batch", "instance", "group"]
Activation = Literal["relu", "leaky-relu", "gelu", "silu"]

_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky-relu": lambda: nn.LeakyReLU(inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
}
# Wu and He, "Group Normalization" (ECCV 2018), found little difference between 4 and 32 groups.
_GROUPS = 8


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


@dataclass(frozen=True)
class Style:
    """The norm and activation that all layers of a network share, and their order."""

    norm: Norm = "batch"
    """``batch``; ``instance``, over every feature map of every example; or ``group``, over up to
    eight groups of maps."""
    activation: Activation = "relu"
    """Activation that follows the norm."""
    preactivated: bool = False
    """Whether norm and activation come before the convolution (He et al., "Identity Mappings in
    Deep Residual Networks", ECCV 2016)."""

    def normalise(self, width: int) -> nn.Module:
        """Return the norm for ``width`` feature maps."""
        if self.norm == "batch":
            return nn.BatchNorm2d(width)
        return GroupNorm(width if self.norm == "instance" else math.gcd(width, _GROUPS), width)

    def activate(self) -> nn.Module:
        """Return the activation."""
        return _ACTIVATIONS[self.activation]()

    def around(self, layer: nn.Module, width_in: int, width_out: int) -> nn.Sequential:
        """Return a layer with norm and activation, in the order of the style."""
        if self.preactivated:
            return nn.Sequential(self.normalise(width_in), self.activate(), layer)
        return nn.Sequential(layer, self.normalise(width_out), self.activate())

    def convolution(self, width_in: int, width_out: int, kernel: int = 3) -> nn.Sequential:
        """Return a convolution that keeps the size, with norm and activation."""
        return self.around(convolution(width_in, width_out, kernel), width_in, width_out)


def convolution(width_in: int, width_out: int, kernel: int = 3) -> nn.Conv2d:
    """Return a convolution that keeps the size, without a bias, which the norm would cancel."""
    return nn.Conv2d(width_in, width_out, kernel, padding=kernel // 2, bias=False)


def change_width(width_in: int, width_out: int) -> nn.Module:
    """Return a 1x1 convolution if the widths differ, else the identity."""
    return nn.Identity() if width_in == width_out else convolution(width_in, width_out, 1)


class PlainBlock(nn.Sequential):
    """A sequence of 3x3 convolutions.

    Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation" (MICCAI
    2015), with norms, as is now usual, and zero padding instead of shrinking maps.

    Args:
        width_in: feature maps in.
        width_out: feature maps out.
        layers: convolutions; 2 in the paper.
        style: norm and activation.
    """

    def __init__(self, width_in: int, width_out: int, layers: int, style: Style) -> None:
        widths = [width_in, *[width_out] * layers]
        super().__init__(*(style.convolution(*pair) for pair in pairwise(widths)))


class ResidualBlock(nn.Module):
    """Convolutions beside a shortcut, which is a 1x1 convolution where the width changes.

    Zhang et al., "Road Extraction by Deep Residual U-Net" (IEEE GRSL 2018). Meant for a
    preactivated style, as in the paper, which leaves the shortcut free of activations. Arguments
    as in ``PlainBlock``.
    """

    def __init__(self, width_in: int, width_out: int, layers: int, style: Style) -> None:
        super().__init__()
        self.shortcut = change_width(width_in, width_out)
        self.body = PlainBlock(width_in, width_out, layers, style)

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, width_out, F, T]`` of ``[B, width_in, F, T]``."""
        body: Tensor = self.body(features)
        shortcut: Tensor = self.shortcut(features)
        return body + shortcut
