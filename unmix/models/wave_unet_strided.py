"""The strided Wave-U-Net of Stoller et al., successor of "Wave-U-Net" (ISMIR 2018) by its authors.

A U-Net on samples, one network per stem. The first Wave-U-Net halves time twelve times; this one
divides it by ``stride`` five times, with fixed low-pass filters. Convolutions are valid and group
normalised, the output is linear, and the stems need not sum to the mixture. The recipe
``wave-unet-strided`` fits the public weights.

``context`` is what the valid convolutions consume on each side. An estimate depends on more: group
normalisation takes mean and variance over the whole chunk, the resampling filters mirror each level
at its ends, and a length that the strides do not divide is padded with zeros. The public code has
97961 samples in and 88409 out, which need no padding; at that length estimates are identical.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ._base import Model, ModelConfig
from ._registry import register
from .blocks.crop import centre

# Feature maps in a group of the normalisation.
_GROUP = 8
# Length of the resampling filters, whatever the stride.
_TAPS = 15
_HALF = _TAPS // 2


class StridedWaveUNetConfig(ModelConfig):
    """Settings of the strided Wave-U-Net; the defaults are those of the public weights."""

    stems: tuple[str, ...] = ("bass", "drums", "other", "vocals")
    """Names of the estimates, in the order of axis S."""
    width: int = Field(default=32, ge=_GROUP, multiple_of=_GROUP)
    """Feature maps of the first level; doubled with every level."""
    depth: int = Field(default=6, ge=2, le=32)
    """Levels including the lowest one: time is divided ``depth - 1`` times."""
    kernel: int = Field(default=5, ge=3)
    """Taps of every convolution but the last; odd."""
    stride: int = Field(default=4, ge=2)
    """Factor by which time is divided from one level to the next."""
    output_samples: int = Field(default=88200, ge=1)
    """Least number of samples in a chunk of estimates; rounded up to a length that the strides
    divide."""

    @field_validator("kernel")
    @classmethod
    def _has_a_middle(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("must be odd")
        return kernel


@register("wave-unet-strided", StridedWaveUNetConfig)
class StridedWaveUNet(Model):
    """Valid convolutions on samples, fixed filters between the levels, one network per stem."""

    config: StridedWaveUNetConfig

    def __init__(self, config: StridedWaveUNetConfig) -> None:
        super().__init__(config)
        self.networks = nn.ModuleList(_Network(config) for _ in config.stems)

    @property
    def chunk(self) -> int:
        """The shortest length of at least ``output_samples`` that needs no padding."""
        return self._input_length(self.config.output_samples) - 2 * self.context

    @property
    def context(self) -> int:
        """What the valid convolutions consume on each side."""
        reach = self.config.kernel // 2
        context = reach
        # Two convolutions per level in the encoder, two in the decoder.
        for _ in range(self.config.depth - 1):
            context = self.config.stride * context + 4 * reach
        return context

    @property
    def step(self) -> int:
        """Samples of the mixture for each of the deepest features."""
        return int(self.config.stride ** (self.config.depth - 1))

    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, N - 2 * context]`` of a mixture ``[B, C, N]``.

        In evaluation mode they are clamped to [-1, 1].
        """
        length = self.inner_length(mixture)
        padded = F.pad(mixture, (0, self._input_length(length) - mixture.shape[-1]))
        estimates = torch.stack([network(padded)[..., :length] for network in self.networks], 1)
        return estimates if self.training else estimates.clamp(-1, 1)

    def _input_length(self, length: int) -> int:
        """Return the smallest valid length of a mixture whose estimates have ``length`` samples."""
        kernel, stride = self.config.kernel, self.config.stride
        # Backwards through the decoder, whose levels make stride * (n - 1) + 1 - 2 * (kernel - 1)
        # samples of n, then through the bottleneck and the encoder.
        for _ in range(self.config.depth - 1):
            length = math.ceil((length + 2 * (kernel - 1) - 1) / stride) + 1
            length = max(length, _mirrored(stride) + 1)  # shorter features cannot be mirrored
        length += kernel - 1
        for _ in range(self.config.depth - 1):
            length = stride * (length - 1) + 1 + 2 * (kernel - 1)
        return length


class _Network(nn.Module):
    """The network of one stem: ``[B, C, N]`` to ``[B, C, N - 2 * context]``, for a valid N."""

    def __init__(self, config: StridedWaveUNetConfig) -> None:
        super().__init__()
        kernel, stride, channels = config.kernel, config.stride, config.audio_channels
        widths = [config.width * 2**level for level in range(config.depth)]
        levels = list(pairwise(widths))
        self.encoder = nn.ModuleList(
            _Down(channels if level == 0 else narrow, narrow, wide, kernel, stride)
            for level, (narrow, wide) in enumerate(levels)
        )
        self.bottleneck = _Convolution(widths[-1], widths[-1], kernel)
        self.decoder = nn.ModuleList(
            _Up(wide, narrow, kernel, stride) for narrow, wide in reversed(levels)
        )
        self.output = nn.Conv1d(widths[0], channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        skips = []
        for down in self.encoder:
            features, skip = down(features)
            skips.append(skip)
        features = self.bottleneck(features)
        for up in self.decoder:
            features = up(features, skips.pop())
        output: Tensor = self.output(features)
        return output


class _Convolution(nn.Sequential):
    """Convolve without padding, normalise, rectify."""

    def __init__(self, width_in: int, width_out: int, kernel: int) -> None:
        super().__init__(
            nn.Conv1d(width_in, width_out, kernel),
            nn.GroupNorm(width_out // _GROUP, width_out),
            nn.ReLU(inplace=True),
        )


class _Down(nn.Module):
    """Convolve to the skip, convolve again, and decimate by ``stride``."""

    def __init__(self, width_in: int, width: int, width_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.before = _Convolution(width_in, width, kernel)
        self.after = _Convolution(width, width_out, kernel)
        self.resample = _Decimate(stride)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.before(features)
        return self.resample(self.after(skip)), skip


class _Up(nn.Module):
    """Interpolate by ``stride``, convolve, and merge with the skip."""

    def __init__(self, width_in: int, width_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.resample = _Interpolate(stride)
        self.before = _Convolution(width_in, width_out, kernel)
        self.after = _Convolution(2 * width_out, width_out, kernel)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        features = self.before(self.resample(features))
        skip = centre(skip, features.shape[-1:])
        merged: Tensor = self.after(torch.cat([skip, features], 1))
        return merged


class _LowPass(nn.Module):
    """A low-pass filter for ``stride``."""

    taps: Tensor

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("taps", low_pass(stride)[None, None], persistent=False)


class _Decimate(_LowPass):
    """``[B, W, stride * (n - 1) + 1]`` to ``[B, W, n]``, both ends included."""

    def forward(self, features: Tensor) -> Tensor:
        width = features.shape[1]
        padded = F.pad(features, (_HALF, _HALF), mode="reflect")
        return F.conv1d(padded, self.taps.expand(width, 1, -1), stride=self.stride, groups=width)


class _Interpolate(_LowPass):
    """``[B, W, n]`` to ``[B, W, stride * (n - 1) + 1]``: insert zeros, apply the same filter.

    The result is softer by ``stride``, which the following normalisation undoes.
    """

    def forward(self, features: Tensor) -> Tensor:
        width, count = features.shape[1:]
        mirrored = _mirrored(self.stride)
        padded = F.pad(features, (mirrored, mirrored), mode="reflect")
        taps = self.taps.expand(width, 1, -1)
        samples = F.conv_transpose1d(padded, taps, stride=self.stride, groups=width)
        # The first sample is at the middle of its filter.
        first = mirrored * self.stride + _HALF
        return samples[..., first : first + (count - 1) * self.stride + 1]


def _mirrored(stride: int) -> int:
    """Return how many samples the interpolation filter reaches past each end."""
    return math.ceil(_HALF / stride)


def low_pass(stride: int) -> Tensor:
    """Return the taps ``[15]`` of the low-pass filter for ``stride``; they sum to one.

    A sinc under a Hann window, with its cutoff at half the new sample rate. The public code intends
    a Blackman window, but by a slip in its last term computes a Hann window.
    """
    position = torch.arange(-_HALF, _HALF + 1, dtype=torch.float64)
    window = 0.5 + 0.5 * torch.cos(torch.pi * position / _HALF)
    taps = torch.sinc(position / stride) * window
    return (taps / taps.sum()).float()
