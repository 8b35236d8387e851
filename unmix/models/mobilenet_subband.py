"""The small sub-band network published with Kong et al.'s ResUNet: a U-Net of separable layers.

ByteDance's music_source_separation, 2021. It has a third of a million weights, the ResUNet has a
hundred million. Every 3x3 convolution is split into one within each map and one across maps, as in
Howard et al., "MobileNets" (2017); a level has two such blocks with shortcuts. The authors report
7.2 dB for vocals and 14.6 dB for the accompaniment.
"""

from __future__ import annotations

from pydantic import Field
from torch import nn

from ._decoupled import LEAK, MOMENTUM, DecoupledConfig, DecoupledModel, Shortcut
from ._registry import register


class MobileNetSubbandConfig(DecoupledConfig):
    """Settings of the small network."""

    widths: tuple[int, ...] = Field(default=(32, 64, 64, 64, 64, 64), min_length=1)
    """Feature maps of every level. Each level halves the bins, and all but the last the frames."""


@register("mobilenet-subband", MobileNetSubbandConfig)
class MobileNetSubband(DecoupledModel):
    """Separable residual blocks; the decoder doubles by repeating values."""

    config: MobileNetSubbandConfig

    def stack(self, width_in: int, width_out: int) -> nn.Sequential:
        """Return two separable blocks, the first of which changes the width."""
        return nn.Sequential(_Separable(width_in, width_out), _Separable(width_out, width_out))

    def middle(self, width: int) -> nn.Sequential:
        """Return the two blocks below the last level."""
        return self.stack(width, width)

    def doubling(self, width_in: int, width_out: int, factors: tuple[int, int]) -> nn.Sequential:
        """Return normalisation, activation, a convolution across maps, and the repetition."""
        return nn.Sequential(
            nn.BatchNorm2d(width_in, momentum=MOMENTUM),
            nn.LeakyReLU(LEAK, inplace=True),
            nn.Conv2d(width_in, width_out, 1, bias=False),
            nn.Upsample(scale_factor=factors),
        )


class _Separable(Shortcut):
    """Convolutions across, within and across maps, each normalised first, beside a shortcut."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(
            width_in,
            width_out,
            nn.BatchNorm2d(width_in),
            nn.LeakyReLU(LEAK, inplace=True),
            nn.Conv2d(width_in, width_out, 1, bias=False),
            nn.BatchNorm2d(width_out),
            nn.LeakyReLU(LEAK, inplace=True),
            nn.Conv2d(width_out, width_out, 3, padding=1, groups=width_out, bias=False),
            nn.BatchNorm2d(width_out),
            nn.LeakyReLU(LEAK, inplace=True),
            nn.Conv2d(width_out, width_out, 1, bias=False),
        )
