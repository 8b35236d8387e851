"""The Wave-U-Net of Stoller et al., "Wave-U-Net: A Multi-Scale Neural Network" (ISMIR 2018).

Full title "... for End-to-End Audio Source Separation". A one-dimensional U-Net from samples to
samples. Each level of the encoder convolves and keeps every second sample; each level of the
decoder interpolates between samples and concatenates the skip. With ``valid``, convolutions are not
padded: the network sees ``context`` more samples on either side than it returns, and chunks meet
seamlessly.

The recipes ``wave-unet-m1`` to ``-m7`` are the models of the paper, by its names.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ..stems import ACCOMPANIMENT, VOCALS
from ._base import Model, ModelConfig
from ._registry import register
from .blocks.crop import centre

_LEAK = 0.2


class WaveUNetConfig(ModelConfig):
    """Settings of the Wave-U-Net; the defaults are M4's at 44.1 kHz."""

    stems: tuple[str, ...] = (ACCOMPANIMENT, VOCALS)
    """Names of the estimates, in the order of axis S; see ``difference_output`` for the last."""
    width: int = Field(default=24, ge=1)
    """Feature maps after the first layer; every level adds as many."""
    depth: int = Field(default=12, ge=1, le=32)
    """Levels, each of which keeps every second sample."""
    filter_size: int = Field(default=15, ge=1)
    """Taps of the encoder's convolutions; odd."""
    merge_filter_size: int = Field(default=5, ge=1)
    """Taps of the decoder's convolutions; odd."""
    valid: bool = True
    """Whether convolutions consume context instead of padding with zeros."""
    upsampling: Literal["linear", "learned"] = "linear"
    """How to interpolate between samples: half way, or with a weight learned per feature map."""
    difference_output: bool = True
    """Whether the last stem is the mixture minus the others, without an output layer of its own."""
    output_samples: int = Field(default=16384, ge=1)
    """Least number of samples in a chunk of estimates, in training and by default in separation;
    rounded up to a length that the levels divide."""

    @field_validator("filter_size", "merge_filter_size")
    @classmethod
    def _odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError("must be odd, so that samples stay in place")
        return size

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.difference_output and len(self.stems) < 2:
            raise ValueError("difference_output needs at least two stems")
        return self


@register("wave-unet", WaveUNetConfig)
class WaveUNet(Model):
    """Convolve and decimate, interpolate and convolve; the last layer also sees the mixture."""

    config: WaveUNetConfig

    def __init__(self, config: WaveUNetConfig) -> None:
        super().__init__(config)
        widths = [config.width * (level + 1) for level in range(config.depth)]
        deepest = config.width * (config.depth + 1)
        audio = config.audio_channels
        self.encoder = nn.ModuleList(
            self._convolution(narrow, wide, config.filter_size)
            for narrow, wide in zip([audio, *widths], widths, strict=False)
        )
        self.bottleneck = self._convolution(widths[-1], deepest, config.filter_size)
        narrowing = [deepest, *widths[::-1]]
        self.upsampling = nn.ModuleList(
            _Upsampling(width, config.valid, config.upsampling == "learned")
            for width in narrowing[:-1]
        )
        # Every decoder layer sees [skip, upsampled].
        self.decoder = nn.ModuleList(
            self._convolution(wide + narrow, narrow, config.merge_filter_size)
            for wide, narrow in pairwise(narrowing)
        )
        self.outputs = nn.ModuleList(
            self._convolution(audio + config.width, audio, 1)
            for _ in range(len(config.stems) - config.difference_output)
        )

    @property
    def chunk(self) -> int:
        """The shortest length of at least ``output_samples`` that all levels divide."""
        return self._possible(self.config.output_samples)

    @property
    def context(self) -> int:
        """Samples that the valid convolutions consume on each side: 65527 in the paper."""
        if not self.config.valid:
            return 0
        # The bottleneck makes T samples of T + filter_size - 1. One level up, n samples become
        # 2n - merge_filter_size in the decoder, and come from 2n + filter_size - 2 in the encoder.
        # Through all levels:
        #   estimates = (T - merge) * 2^depth + merge
        #   mixture = (T + 2 * filter - 3) * 2^depth - filter + 2
        size, merge = self.config.filter_size, self.config.merge_filter_size
        return ((2 * size + merge - 3) * self.step - size - merge + 2) // 2

    @property
    def step(self) -> int:
        """Samples of the mixture for each of the deepest features."""
        return 1 << self.config.depth

    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, N - 2 * context]`` of a mixture ``[B, C, N]``.

        In evaluation mode, a difference is clamped to [-1, 1].
        """
        length = self.inner_length(mixture)
        # The levels do not make every length. For others, the last samples, fewer than 2^depth, see
        # these zeros at the far end of their context.
        padded = F.pad(mixture, (0, self._possible(length) - length))
        features = self._decode(*self._encode(padded))
        inner = centre(padded, features.shape[-1:])
        features = torch.cat([inner, features], 1)
        estimates = [torch.tanh(output(features).float()) for output in self.outputs]
        if self.config.difference_output:
            residual = inner - torch.stack(estimates).sum(0)
            estimates.append(residual if self.training else residual.clamp(-1, 1))
        return torch.stack(estimates, 1)[..., :length]

    def _encode(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the deepest features and the skips."""
        skips = []
        for convolve in self.encoder:
            features = F.leaky_relu(convolve(features), _LEAK)
            skips.append(features)
            features = features[..., ::2]
        return F.leaky_relu(self.bottleneck(features), _LEAK), skips

    def _decode(self, features: Tensor, skips: list[Tensor]) -> Tensor:
        for upsample, convolve in zip(self.upsampling, self.decoder, strict=True):
            features = upsample(features)
            skip = centre(skips.pop(), features.shape[-1:])
            features = F.leaky_relu(convolve(torch.cat([skip, features], 1)), _LEAK)
        return features

    def _possible(self, length: int) -> int:
        """Return the shortest length of at least ``length`` samples that the levels make."""
        lost = self.config.merge_filter_size if self.config.valid else 0
        return lost + -(-(length - lost) // self.step) * self.step

    def _convolution(self, width_in: int, width_out: int, size: int) -> nn.Conv1d:
        padding = 0 if self.config.valid else size // 2
        convolution = nn.Conv1d(width_in, width_out, size, padding=padding)
        nn.init.xavier_uniform_(convolution.weight)
        assert convolution.bias is not None
        nn.init.zeros_(convolution.bias)
        return convolution


class _Upsampling(nn.Module):
    """Insert a sample between each two and, unless ``valid``, one after the last."""

    def __init__(self, width: int, valid: bool, learned: bool) -> None:
        super().__init__()
        self._valid = valid
        self.weight: nn.Parameter | None = None
        if learned:
            bound = (3 / width) ** 0.5  # Glorot's, for equally many inputs and outputs
            self.weight = nn.Parameter(torch.empty(width, 1).uniform_(-bound, bound))

    def forward(self, features: Tensor) -> Tensor:
        """Return twice as many samples, or one less with ``valid``."""
        last = features[..., -1:]
        if self.weight is None:
            following = torch.cat([features[..., 1:], last], -1)
            between = (features + following) / 2
        else:
            following = F.pad(features[..., 1:], (0, 1))
            share = torch.sigmoid(self.weight)
            between = share * features + (1 - share) * following
        doubled = torch.stack([features, between], -1).flatten(-2)
        return doubled[..., :-1] if self._valid else doubled
