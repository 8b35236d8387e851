"""The U-Net of Jansson et al., "Singing Voice Separation with Deep U-Net Convolutional Networks".

ISMIR 2017. An image-to-image network on the mixture's magnitudes: strided convolutions halve time
and frequency while the width doubles, transposed ones undo it, and skips are concatenated. The
output is a mask in [0, 1]; estimates have the mixture's phase.

The recipe ``unet-jansson`` is the paper's: one network per stem, 8192 Hz mono. ``unet-16khz``, with
4x4 kernels, fits the public Chainer weights. ``unet`` is full-band and stereo.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ..frontends.features import LEVEL_OFFSET, frequency_plane, level_of_sound
from ._base import MaskModel, SpectrogramConfig
from ._registry import register


class UNetConfig(SpectrogramConfig):
    """Settings of the U-Net; the defaults make a full-band stereo version of the paper's."""

    width: int = Field(default=16, ge=1)
    """Feature maps after the first layer; doubled with every level."""
    depth: int = Field(default=6, ge=1, le=32)
    """Levels, each of which halves time and frequency."""
    widths: tuple[int, ...] = ()
    """Feature maps after each layer; overrides ``width`` and ``depth``."""
    kernel: Literal[3, 4, 5, 7] = 5
    """Kernel size on both axes."""
    norm_epsilon: float = Field(default=1e-5, gt=0)
    """Added to variances in batch normalisation."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Fraction of features dropped in the first three decoder layers in training."""
    input_exponent: float = Field(default=0.5, gt=0, le=1)
    """Compression of the input's magnitudes; 1 in the paper."""
    level: Literal["mean", "max"] = "mean"
    """What the chunk's magnitudes are divided by; in the paper, the maximum."""
    frequency_plane: bool = True
    """Whether the input has a plane with the position of each bin, without which convolutions do
    not know their frequency. The paper has none."""
    ceiling: float = Field(default=1.0, gt=0, le=1)
    """Largest value of a mask. Networks trained on L1 let a little too much through where the phase
    is wrong; a value just below 1, found after training, lowers the error."""


@register("unet", UNetConfig)
class UNet(MaskModel):
    """Strided convolutions, skips by concatenation, one mask per stem and channel."""

    config: UNetConfig
    levelled = True

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        widths = _widths(config)
        planes = config.audio_channels + config.frequency_plane
        masks = len(config.stems) * config.audio_channels
        self.encoder = nn.ModuleList(
            _Down(narrow, wide, config.kernel, config.norm_epsilon)
            for narrow, wide in zip([planes, *widths], widths, strict=False)
        )
        # The deepest decoder layer sees the bottleneck only, the others [decoder, skip].
        narrowing = widths[::-1]
        inputs = [narrowing[0], *(2 * width for width in narrowing[1:])]
        dropouts = [config.dropout if rank < 3 else 0.0 for rank in range(len(widths) - 1)]
        self.decoder = nn.ModuleList(
            _Up(wide, narrow, config.kernel, config.norm_epsilon, dropout)
            for wide, narrow, dropout in zip(inputs, narrowing[1:], dropouts, strict=False)
        )
        self.decoder.append(nn.Sequential(_double(inputs[-1], masks, config.kernel)))

    def predict_mask(self, frames: Tensor) -> Tensor:
        """Return the mask ``[B, S, C, F, T]`` in [0, ceiling] for complex frames ``[B, C, F, T]``.

        The network does not see the bin at 0 Hz, which holds no voice: its mask is zero.
        """
        logits = self._run(self._features(frames[:, :, 1:].abs()))
        mask = self.config.ceiling * torch.sigmoid(logits.float())
        mask = mask.unflatten(1, (len(self.stems), self.audio_channels))
        return F.pad(mask, (0, 0, 1, 0))

    def _run(self, features: Tensor) -> Tensor:
        """Return logits ``[B, S * C, F - 1, T]`` of features ``[B, planes, F - 1, T]``."""
        bins, count = features.shape[-2:]
        features = self._pad(features)
        skips = []
        for down in self.encoder:
            features = down(features)
            skips.append(features)
        skips.pop()
        for rank, up in enumerate(self.decoder):
            features = up(features if rank == 0 else torch.cat([features, skips.pop()], 1))
        return features[..., :bins, :count]

    def _features(self, magnitude: Tensor) -> Tensor:
        """Return levelled, compressed magnitudes, with the frequency plane if configured."""
        if self.config.level == "max":
            level = magnitude.amax((1, 2, 3), keepdim=True)
        else:
            level = level_of_sound(magnitude)
        features = (magnitude / (level + LEVEL_OFFSET)) ** self.config.input_exponent
        if self.config.frequency_plane:
            features = torch.cat([features, frequency_plane(features)], 1)
        return features

    def _pad(self, features: Tensor) -> Tensor:
        """Zero-pad bins and frames to multiples of ``2 ** depth``."""
        step = 2 ** len(self.encoder)
        bins, count = features.shape[-2:]
        padded = F.pad(features, (0, -count % step, 0, -bins % step))
        # Convolutions on the CPU are a third faster in this layout.
        return padded.contiguous(memory_format=torch.channels_last)


def _widths(config: UNetConfig) -> list[int]:
    return list(config.widths) or [config.width * 2**level for level in range(config.depth)]


class _Down(nn.Sequential):
    """Convolve and halve, normalise, leaky rectifier."""

    def __init__(self, width_in: int, width_out: int, kernel: int, epsilon: float) -> None:
        super().__init__(
            nn.Conv2d(width_in, width_out, kernel, stride=2, padding=(kernel - 1) // 2),
            nn.BatchNorm2d(width_out, epsilon),
            nn.LeakyReLU(0.2, inplace=True),
        )


class _Up(nn.Sequential):
    """Convolve and double, normalise, rectify, drop out."""

    def __init__(
        self, width_in: int, width_out: int, kernel: int, epsilon: float, dropout: float
    ) -> None:
        super().__init__(
            _double(width_in, width_out, kernel),
            nn.BatchNorm2d(width_out, epsilon),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )


def _double(width_in: int, width_out: int, kernel: int) -> nn.ConvTranspose2d:
    """Return the convolution that doubles both axes; odd kernels need a row and a column more."""
    return nn.ConvTranspose2d(
        width_in, width_out, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=kernel % 2
    )
