"""The separator of Stoller et al., "Adversarial Semi-Supervised Audio Source Separation".

Full title "... Applied to Singing Voice Extraction" (ICASSP 2018, arXiv 1711.00048). A U-Net of
valid convolutions from the mixture's log magnitudes to those of each stem, with the mixture's
phase. There is no mask, so an estimate may be louder than the mixture. Training is semi-supervised:
a critic per stem learns to tell estimates from solo recordings of that stem, which need no mixture,
and the separator learns to satisfy it. The critic is in this file, the losses are in training.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ..frontends import STFT
from ..stems import ACCOMPANIMENT, VOCALS
from ._base import Model, ModelConfig
from ._registry import register
from .blocks.crop import centre

# Slope of the critic's leaky rectifiers.
_LEAK = 0.2
# The critic convolves until at most this many bins and frames are left.
_SMALLEST = 4
# Width of the critic's second-to-last layer.
_HIDDEN = 32


class AdversarialConfig(ModelConfig):
    """Settings of the adversarial separator; the defaults are the paper's."""

    stems: tuple[str, ...] = (ACCOMPANIMENT, VOCALS)
    """Names of the estimates, in the order of axis S."""
    sample_rate: int = Field(default=8192, gt=0)
    """Hz."""
    audio_channels: int = Field(default=1, gt=0)
    """Each channel is separated on its own."""
    n_fft: int = Field(default=512, ge=2)
    """Window and transform length in samples."""
    hop_length: int = Field(default=256, ge=1)
    """Samples between two frames."""
    frames: int = Field(default=66, ge=2)
    """Frames of a chunk's estimates; 2 more than a multiple of 2^depth need no padding."""
    width: int = Field(default=16, ge=1)
    """Feature maps of the first level; doubled with every level."""
    depth: int = Field(default=4, ge=1, le=32)
    """Levels below the first: each halves time and frequency."""

    @model_validator(mode="after")
    def _invertible(self) -> AdversarialConfig:
        STFT(self.n_fft, self.hop_length)
        return self


@register("adversarial", AdversarialConfig)
class AdversarialSeparator(Model):
    """Log magnitudes in, log magnitudes of every stem out, the mixture's phase."""

    config: AdversarialConfig

    # The network consumes 46 frames on each side: it returns 66 of 158. Silence in their place
    # would be wrong wherever a chunk begins inside a recording, so they are the ``context``.
    # Estimates then depend only on where frames and pooling begin: a chunk that starts a whole
    # number of pooling steps later gives the same ones.

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__(config)
        self.stft = STFT(config.n_fft, config.hop_length)
        self.network = _Network(len(config.stems), config.width, config.depth)
        # Frames at either end whose windows reach past the mixture; the network never sees them.
        self._cut = math.ceil(config.n_fft // 2 / config.hop_length)

    @property
    def chunk(self) -> int:
        """Samples that make exactly ``config.frames`` frames."""
        return self.stft.length(self.config.frames)

    @property
    def context(self) -> int:
        """The frames that the network consumes plus half a window, in samples."""
        return (self.network.context + self._cut) * self.config.hop_length

    @property
    def step(self) -> int:
        """Samples for each of the deepest frames."""
        return self.config.hop_length << self.config.depth

    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, N - 2 * context]`` of a mixture ``[B, C, N]``."""
        length = self.inner_length(mixture)
        # centres 0          context          context + length
        #         |-cut-|-network's-|---- estimates ----|-network's-|-cut-|   frames of the mixture
        frames = self.stft(mixture)[..., self._cut : -self._cut]
        magnitudes = torch.expm1(self.log_magnitudes(frames).float())  # [B, S, C, F, T]
        inner = frames[..., self.network.context : -self.network.context]
        # ``sgn`` is zero where the mixture is silent, so no sound is made there.
        return self.stft.inverse(magnitudes * torch.sgn(inner).unsqueeze(1), length)

    def log_magnitudes(self, frames: Tensor) -> Tensor:
        """Return ``log(1 + magnitude)`` of every stem, for losses and critics.

        Args:
            frames: of the mixture, complex ``[B, C, F, T]``.

        Returns:
            Real, non-negative ``[B, S, C, F, T - 2 * network.context]``.
        """
        batch, _, bins, count = frames.shape
        features = torch.log1p(frames.abs()).flatten(0, 1).unsqueeze(1)  # [B * C, 1, F, T]
        above = self.network.input_size(bins + 2 * self.network.context) - bins
        # Pad the spectrum on both sides, an odd row above, as the paper's code does. Pad time only
        # to a length that the pooling divides.
        below = above // 2
        after = self.network.input_size(count) - count
        estimates = self.network(F.pad(features, (0, after, below, above - below)))
        lowest = below - self.network.context
        inner = estimates[..., lowest : lowest + bins, : count - 2 * self.network.context]
        stems: Tensor = inner.unflatten(0, (batch, -1))  # [B, C, S, F, T]
        return stems.transpose(1, 2)


class _Network(nn.Module):
    """``[B, 1, F, T]`` to ``[B, S, F - 2 * context, T - 2 * context]``, for valid F and T."""

    def __init__(self, stems: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [1, *(width * 2**level for level in range(depth + 1))]
        self.encoder = nn.ModuleList(
            nn.Conv2d(narrow, wide, 3) for narrow, wide in pairwise(widths)
        )
        narrowing = widths[:0:-1]
        steps = list(pairwise(narrowing))
        self.doubling = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 2, stride=2) for wide, narrow in steps
        )
        self.decoder = nn.ModuleList(nn.Conv2d(wide, narrow, 3) for wide, narrow in steps)
        heads = [nn.Conv2d(width + 1, 1, 1) for _ in range(stems)]
        self.heads = nn.ModuleList(heads)
        _initialise(self)
        # Inputs are non-negative and outputs rectified: a head that starts out silent would have no
        # gradient and stay silent.
        for head in heads:
            head.weight.data.abs_()
        self._step: int = 2**depth

    @property
    def context(self) -> int:
        """Rows and columns consumed on each side."""
        return 3 * self._step - 2

    def input_size(self, least: int) -> int:
        """Return the smallest valid number of rows or columns that is not below ``least``."""
        # Backwards: n bins at the lowest level are n + 2 before its convolution, twice as many
        # before the pooling, and so on, up to step * (n + 4) - 2 at the top, with n >= 2.
        return self._step * max(math.ceil((least + 2) / self._step), 6) - 2

    def forward(self, features: Tensor) -> Tensor:
        mixture = features
        skips = []
        for level, convolution in enumerate(self.encoder):
            if level:
                skips.append(features)
                features = F.max_pool2d(features, 2)
            features = F.relu(convolution(features))
        for double, convolution in zip(self.doubling, self.decoder, strict=True):
            features = F.relu(double(features))
            features = torch.cat([centre(skips.pop(), features.shape[-2:]), features], 1)
            features = F.relu(convolution(features))
        features = torch.cat([centre(mixture, features.shape[-2:]), features], 1)
        return F.relu(torch.cat([head(features) for head in self.heads], 1))


class Critic(nn.Module):
    """Judges how much log magnitudes look like those of recordings of one stem.

    A Wasserstein critic: higher is more real, and the output is unbounded. Strided convolutions as
    in DCGAN (Radford et al. 2016), until at most four bins and four frames are left; no
    normalisation, which does not go with a gradient penalty.

    Args:
        bins: number of frequency bins F; in the paper, one less than the transform has.
        frames: number of frames T.
        width: feature maps of the first layer.
    """

    def __init__(self, bins: int = 256, frames: int = 64, width: int = 32) -> None:
        super().__init__()
        self.size = (1, bins, frames)
        layers = [_Halve(1, width, time=True)]
        bins, frames = math.ceil(bins / 2), math.ceil(frames / 2)
        while min(bins, frames) > _SMALLEST:
            layers.append(_Halve(width, 2 * width, time=True))
            bins, frames, width = math.ceil(bins / 2), math.ceil(frames / 2), 2 * width
        while bins > _SMALLEST:
            layers.append(_Halve(width, width, time=False))
            bins = math.ceil(bins / 2)
        self.layers = nn.Sequential(*layers)
        self.hidden = nn.Linear(width * bins * frames, _HIDDEN)
        self.output = nn.Linear(_HIDDEN, 1, bias=False)
        _initialise(self)

    def forward(self, log_magnitude: Tensor) -> Tensor:
        """Return judgements ``[B, 1]`` of ``log(1 + magnitude)``, ``[B, 1, F, T]``."""
        if log_magnitude.shape[1:] != self.size:
            expected = ", ".join(map(str, self.size))
            raise ValueError(f"expected [B, {expected}], got {tuple(log_magnitude.shape)}")
        hidden = self.hidden(self.layers(log_magnitude).flatten(1))
        judgement: Tensor = self.output(F.leaky_relu(hidden, _LEAK))
        return judgement


class _Halve(nn.Module):
    """Halve frequency, and time if ``time``, rounding up; leaky rectifier."""

    def __init__(self, width_in: int, width_out: int, *, time: bool) -> None:
        super().__init__()
        kernel, stride = ((4, 4), (2, 2)) if time else ((4, 2), (2, 1))
        self.convolution = nn.Conv2d(width_in, width_out, kernel, stride)

    def forward(self, features: Tensor) -> Tensor:
        padding: list[int] = []
        kernels, strides = self.convolution.kernel_size, self.convolution.stride
        for axis in (1, 0):  # F.pad begins with the last axis
            size, kernel, stride = features.shape[2 + axis], kernels[axis], strides[axis]
            total = (math.ceil(size / stride) - 1) * stride + kernel - size
            padding += [total // 2, total - total // 2]  # an odd one goes after, as in TensorFlow
        return F.leaky_relu(self.convolution(F.pad(features, padding)), _LEAK)


def _initialise(network: nn.Module) -> None:
    """Initialise with Glorot's uniform weights and zero biases, as the paper's code does."""
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
