"""What the networks of Kong et al. (ISMIR 2021) share: magnitudes to four maps for each bin.

"Decoupling Magnitude and Phase Estimation with Deep ResUNet for Music Source Separation": a mask in
[0, 1] cannot restore what other stems cancel, nor rotate a phase. Four maps for each bin of the
mixture scale its magnitude, rotate its phase by the angle of a pair of values, and add to the
magnitude. The U-Net sees the mixture's magnitudes, with every bin normalised on its own. Subclasses
define the convolutions of a level and how the decoder doubles.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ..frontends import SubbandSTFT
from ._base import SpectrogramConfig, SpectrogramModel

#: Maps for every bin: the mask, the two of the rotation, and the term added to the magnitude.
MAPS = 4
# Least magnitude to divide by, so that silence gets a phase of zero instead of an arbitrary one.
_QUIETEST = 1e-5
# The same for the pair that rotates the phase.
_SHORTEST = 1e-10
#: Weight of a batch in the running statistics: the published batches are small.
MOMENTUM = 0.01
#: Slope of the activations for negative values.
LEAK = 0.01


class DecoupledConfig(SpectrogramConfig):
    """Settings of networks that correct magnitude and phase separately."""

    widths: tuple[int, ...] = Field(default=(32, 64, 128, 256, 384, 384), min_length=1)
    """Feature maps of every level. Each level halves the bins, and all but the last the frames."""
    subbands: Literal[1, 4] = 1
    """Bands that the mixture is split into first. With 4, ``n_fft`` and ``hop_length`` count the
    samples of a band, at a quarter of the rate."""
    bounded: bool = False
    """Whether the term added to a magnitude is limited to [-1, 1]."""


class DecoupledModel(SpectrogramModel):
    """Stacks of convolutions, average pooling, skips by concatenation; four maps for each bin."""

    config: DecoupledConfig

    def __init__(self, config: DecoupledConfig) -> None:
        super().__init__(config)
        if config.subbands > 1:
            self.stft = SubbandSTFT(config.n_fft, config.hop_length, config.padding)
        planes = config.audio_channels * config.subbands
        widths = config.widths
        # How many bins and frames each level makes one.
        self._pools = [(2, 2)] * (len(widths) - 1) + [(2, 1)]
        self.norm = nn.BatchNorm2d(self.stft.bins // config.subbands, momentum=MOMENTUM)
        self.encoder = nn.ModuleList(map(self.stack, [planes, *widths], widths))
        self.bottleneck = self.middle(widths[-1])
        self.decoder = nn.ModuleList(
            _Level(self.doubling(wide, width, pool), self.stack(2 * width, width))
            for wide, width, pool in zip(
                [*widths[1:], widths[-1]], widths, self._pools, strict=True
            )
        )
        self.last = self.stack(widths[0], widths[0])
        self.head = nn.Conv2d(widths[0], len(config.stems) * planes * MAPS, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @abstractmethod
    def stack(self, width_in: int, width_out: int) -> nn.Module:
        """Return the convolutions of a level."""

    @abstractmethod
    def middle(self, width: int) -> nn.Module:
        """Return the convolutions below the last level."""

    @abstractmethod
    def doubling(self, width_in: int, width_out: int, factors: tuple[int, int]) -> nn.Module:
        """Return the layers that multiply bins and frames by ``factors``."""

    def estimate_frames(self, frames: Tensor) -> Tensor:
        """Return the stems' frames ``[B, S, C, F, T]`` for the mixture's ``[B, C, F, T]``."""
        maps = self._maps(floored_magnitude(frames))
        return decoupled_frames(frames, maps, self.config.bounded)

    def _maps(self, magnitude: Tensor) -> Tensor:
        """Return maps ``[B, S, C, MAPS, F, T]`` of magnitudes ``[B, C, F, T]``, F over all bands.

        The network does not see the highest bin of a band: its maps and its estimate are zero.
        """
        bands, count = self.config.subbands, magnitude.shape[-1]
        planes = magnitude.unflatten(2, (bands, -1)).flatten(1, 2)  # [B, C * bands, F, T]
        features = self.norm(planes.transpose(1, 2)).transpose(1, 2)[:, :, :-1]
        bins = features.shape[2]
        maps = self._trunk(self._pad(features))[:, :, :bins, :count]
        maps = F.pad(maps, (0, 0, 0, 1))
        stems_and_more = (len(self.stems), self.audio_channels, MAPS, bands)
        split: Tensor = maps.unflatten(1, stems_and_more)
        return split.flatten(4, 5)

    def _trunk(self, features: Tensor) -> Tensor:
        skips = []
        for stack, pool in zip(self.encoder, self._pools, strict=True):
            features = stack(features)
            skips.append(features)
            features = F.avg_pool2d(features, pool)
        features = self.bottleneck(features)
        for level in reversed(self.decoder):
            features = level(features, skips.pop())
        maps: Tensor = self.head(self.last(features))
        return maps

    def _pad(self, features: Tensor) -> Tensor:
        """Zero-pad bins and frames to multiples that all levels divide."""
        bins, count = features.shape[-2:]
        levels = len(self.config.widths)
        padded = F.pad(features, (0, -count % 2 ** (levels - 1), 0, -bins % 2**levels))
        # Convolutions on the CPU are faster in this layout.
        return padded.contiguous(memory_format=torch.channels_last)


class Shortcut(nn.Module):
    """A branch beside a shortcut, which is a 1x1 convolution where the width changes."""

    def __init__(self, width_in: int, width_out: int, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)
        same = width_in == width_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(width_in, width_out, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, width_out, F, T]`` of ``[B, width_in, F, T]``."""
        total: Tensor = self.shortcut(features) + self.branch(features)
        return total


class _Level(nn.Module):
    """Double, concatenate the skip, convolve."""

    def __init__(self, doubling: nn.Module, stack: nn.Module) -> None:
        super().__init__()
        self.doubling = doubling
        self.stack = stack

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.stack(torch.cat([self.doubling(features), skip], 1))
        return joined


def floored_magnitude(frames: Tensor) -> Tensor:
    """Return the magnitudes of complex frames, at least 1e-5."""
    power = frames.real.square() + frames.imag.square()
    return power.clamp(min=_QUIETEST**2).sqrt()


def decoupled_frames(frames: Tensor, maps: Tensor, bounded: bool) -> Tensor:
    """Return the stems' complex frames ``[B, S, C, F, T]``.

    Args:
        frames: of the mixture, complex ``[B, C, F, T]``.
        maps: real ``[B, S, C, MAPS, F, T]``, unbounded.
        bounded: whether the term added to a magnitude is limited to [-1, 1].
    """
    mask, real, imaginary, added = maps.to(frames.real.dtype).unbind(3)
    magnitude = floored_magnitude(frames)
    phase = (frames / magnitude).unsqueeze(1)
    rotation = torch.complex(real.tanh(), imaginary.tanh())
    # Clamped before the square root, whose gradient at zero is infinite.
    length = (rotation.real.square() + rotation.imag.square()).clamp(min=_SHORTEST**2).sqrt()
    scaled = magnitude.unsqueeze(1) * mask.sigmoid()
    level = (scaled + (added.tanh() if bounded else added)).relu()
    return level * phase * (rotation / length)
