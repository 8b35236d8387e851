"""Spleeter, of Hennequin et al., "Spleeter: a fast and efficient music source separation tool".

Journal of Open Source Software, 2020. One U-Net for every stem: six strided convolutions over the
mixture's magnitudes, six transposed ones, skips by concatenation. It differs from the U-Net of
Jansson et al. in its skips (convolutions before normalisation and activation), its decoder
(activation before normalisation) and its output: each network estimates magnitudes, and masks are
ratios of their powers. The networks see the lowest ``bins`` bins only.

The recipes ``spleeter-2stems``, ``-4stems`` and ``-5stems`` are the published networks.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ._ratio import RatioConfig, RatioModel
from ._registry import register

# Keras' default, with which the published weights were trained.
_NORM_EPSILON = 1e-3
# Decoder layers with dropout, from the deepest.
_DROPPED = 3


class SpleeterConfig(RatioConfig):
    """Settings of Spleeter; the defaults are those of the model with two stems."""

    widths: tuple[int, ...] = Field(default=(16, 32, 64, 128, 256, 512), min_length=1)
    """Feature maps after each strided convolution; each halves time and frequency."""
    activation: Literal["leaky", "elu"] = "leaky"
    """``leaky``: rectifiers, with a slope of 0.2 below zero in the encoder; ``elu``: ELU."""
    output: Literal["sigmoid", "softmax"] = "sigmoid"
    """How the stems' shares of the mixture's magnitude are computed: ``sigmoid``, for each network
    on its own, or ``softmax``, so that they sum to one."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Fraction of features dropped in the three deepest decoder layers in training."""

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        step = 2 ** len(self.widths)
        if self.frames % step or self.bins % step:
            raise ValueError(
                f"frames and bins must be multiples of {step} with {len(self.widths)} widths, "
                f"got {self.frames} and {self.bins}"
            )
        return self


@register("spleeter", SpleeterConfig)
class Spleeter(RatioModel):
    """One U-Net for every stem; masks are ratios of the powers that the networks estimate."""

    config: SpleeterConfig

    def __init__(self, config: SpleeterConfig) -> None:
        super().__init__(config)
        self.networks = nn.ModuleList(_UNet(config) for _ in config.stems)

    def estimate_piece(self, magnitude: Tensor) -> Tensor:
        """Return the stems' magnitudes ``[B, S, C, F', T]`` of the mixture's ``[B, C, F', T]``."""
        # Convolutions on the CPU are a third faster in this layout.
        features = magnitude.contiguous(memory_format=torch.channels_last)
        logits = torch.stack([network(features) for network in self.networks], 1).float()
        share = logits.softmax(1) if self.config.output == "softmax" else logits.sigmoid()
        return share * magnitude.unsqueeze(1)


class _UNet(nn.Module):
    """Magnitudes ``[B, C, F', T]`` to the logits of one stem, of the same shape."""

    def __init__(self, config: SpleeterConfig) -> None:
        super().__init__()
        widths = config.widths
        self.encoder = nn.ModuleList(
            _Down(width_in, width_out, config.activation)
            for width_in, width_out in zip([config.audio_channels, *widths], widths, strict=False)
        )
        # The output of the deepest normalisation is not used. The layer is kept because published
        # files and the count of 9,823,749 parameters include it.
        self.encoder[-1].norm.requires_grad_(False)
        # The deepest decoder layer sees the bottleneck only, the others [skip, decoder].
        narrowing = widths[::-1]
        inputs = [narrowing[0], *(2 * width for width in narrowing[1:])]
        dropouts = [config.dropout if rank < _DROPPED else 0.0 for rank in range(len(widths))]
        self.decoder = nn.ModuleList(
            _Up(width_in, width_out, config.activation, dropout)
            for width_in, width_out, dropout in zip(
                inputs, [*narrowing[1:], 1], dropouts, strict=True
            )
        )
        self.last = nn.Conv2d(1, config.audio_channels, 4, dilation=2, padding=3)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> Tensor:
        skips = []
        for down in self.encoder:
            convolved, features = down(features)
            skips.append(convolved)
        features = skips.pop()
        for rank, up in enumerate(self.decoder):
            features = up(features if rank == 0 else torch.cat([skips.pop(), features], 1))
        logits: Tensor = self.last(features)
        return logits


class _Down(nn.Module):
    """Convolve and halve; normalise, activate. Returns both, the first as the skip."""

    def __init__(self, width_in: int, width_out: int, activation: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width_out, 5, stride=2)
        self.norm = nn.BatchNorm2d(width_out, _NORM_EPSILON)
        self.activation = nn.ELU() if activation == "elu" else nn.LeakyReLU(0.2)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        # TensorFlow's "same" for even sizes: one row before, two after.
        convolved = self.conv(F.pad(features, (1, 2, 1, 2)))
        return convolved, self.activation(self.norm(convolved))


class _Up(nn.Module):
    """Convolve and double, activate, normalise, drop out."""

    def __init__(self, width_in: int, width_out: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(width_in, width_out, 5, stride=2, padding=1)
        self.activation = nn.ELU() if activation == "elu" else nn.ReLU()
        self.norm = nn.BatchNorm2d(width_out, _NORM_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        # The reverse of that padding: cut one row before (the layer does), two after.
        convolved = self.conv(features)[..., :-1, :-1]
        activated: Tensor = self.dropout(self.norm(self.activation(convolved)))
        return activated
