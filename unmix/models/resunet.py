"""The residual U-Net of Kong et al., "Decoupling Magnitude and Phase Estimation with Deep ResUNet".

Full title "... for Music Source Separation" (ISMIR 2021): ResUNetDecouple+ with its 143 layers. Six
levels of four residual blocks, four more stacks in the middle, and four maps for each bin, which
correct its magnitude and phase. One network for each stem, vocals or accompaniment.

Two variants were published: on frames of 2048 samples (recipe ``resunet``; the authors report
8.9 dB for vocals) and, faster, on four sub-bands of the waveform (``resunet-subband``; 8.7 dB).
"""

from __future__ import annotations

from pydantic import Field
from torch import nn

from ._decoupled import LEAK, MOMENTUM, DecoupledConfig, DecoupledModel, Shortcut
from ._registry import register


class ResUNetConfig(DecoupledConfig):
    """Settings of the residual U-Net; the defaults are the paper's."""

    blocks: int = Field(default=4, ge=1)
    """Residual blocks in a stack, of two convolutions each."""
    middle_stacks: int = Field(default=4, ge=1)
    """Stacks below the last level."""


@register("resunet", ResUNetConfig)
class ResUNet(DecoupledModel):
    """Pre-activated residual blocks; the decoder doubles by transposed convolutions."""

    config: ResUNetConfig

    def stack(self, width_in: int, width_out: int) -> nn.Sequential:
        """Return residual blocks, the first of which changes the width."""
        widths = [width_in] + [width_out] * self.config.blocks
        return nn.Sequential(*map(_Residual, widths, widths[1:]))

    def middle(self, width: int) -> nn.Sequential:
        """Return the stacks below the last level."""
        return nn.Sequential(*(self.stack(width, width) for _ in range(self.config.middle_stacks)))

    def doubling(self, width_in: int, width_out: int, factors: tuple[int, int]) -> nn.Sequential:
        """Return normalisation, rectifier and a transposed convolution."""
        return nn.Sequential(
            nn.BatchNorm2d(width_in, momentum=MOMENTUM),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width_in, width_out, factors, stride=factors, bias=False),
        )


class _Residual(Shortcut):
    """Twice normalise, rectify, convolve; beside a shortcut."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(
            width_in,
            width_out,
            nn.BatchNorm2d(width_in, momentum=MOMENTUM),
            nn.LeakyReLU(LEAK, inplace=True),
            nn.Conv2d(width_in, width_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(width_out, momentum=MOMENTUM),
            nn.LeakyReLU(LEAK, inplace=True),
            nn.Conv2d(width_out, width_out, 3, padding=1, bias=False),
        )
