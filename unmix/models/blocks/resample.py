"""Layers that halve and double feature maps, and sub-bands folded into feature maps.

Arguments are as in ``Halve``.
"""

from __future__ import annotations

from torch import Tensor, nn

from .conv import Style


class Pool(nn.MaxPool2d):
    """Halve by 2x2 max pooling, as in Ronneberger et al. (2015); the width does not change.

    Args:
        width_in: feature maps in.
    """

    def __init__(self, width_in: int) -> None:
        super().__init__(2)
        self.width_out = width_in


class Halve(nn.Sequential):
    """Halve by a strided 2x2 convolution, as in Kim et al., "KUIELab-MDX-Net" (2021).

    Args:
        width_in: feature maps in.
        width_out: feature maps out.
        style: norm and activation.
    """

    def __init__(self, width_in: int, width_out: int, style: Style) -> None:
        layer = nn.Conv2d(width_in, width_out, 2, stride=2, bias=False)
        super().__init__(*style.around(layer, width_in, width_out))
        self.width_out = width_out


class Double(nn.Sequential):
    """Double by a 2x2 transposed convolution, as in Ronneberger et al. (2015)."""

    def __init__(self, width_in: int, width_out: int, style: Style) -> None:
        layer = nn.ConvTranspose2d(width_in, width_out, 2, stride=2, bias=False)
        super().__init__(*style.around(layer, width_in, width_out))


class Repeat(nn.Sequential):
    """Double by repeating every value, then convolve, which avoids checkerboard patterns.

    Odena et al., "Deconvolution and Checkerboard Artifacts" (Distill 2016).
    """

    def __init__(self, width_in: int, width_out: int, style: Style) -> None:
        super().__init__(nn.Upsample(scale_factor=2), style.convolution(width_in, width_out))


def fold_subbands(features: Tensor, count: int) -> Tensor:
    """Return features ``[B, W * count, F / count, T]`` of ``[B, W, F, T]``: bands as channels.

    Liu et al., "Channel-wise Subband Input for Better Voice and Accompaniment Separation on High
    Resolution Music" (Interspeech 2020): distant frequencies have little in common, and
    convolutions over a quarter of the bins cost a quarter.
    """
    folded: Tensor = features.unflatten(2, (count, -1)).flatten(1, 2)
    return folded


def unfold_subbands(features: Tensor, count: int) -> Tensor:
    """Return features ``[B, W / count, F * count, T]``: the inverse of ``fold_subbands``."""
    unfolded: Tensor = features.unflatten(1, (-1, count)).flatten(2, 3)
    return unfolded
