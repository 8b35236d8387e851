"""The U-Net of Ronneberger et al. (MICCAI 2015) on spectrograms, with a choice of parts.

Blocks, skips and bottlenecks from the literature on segmentation and music separation are settings;
each names its paper where it is defined, in ``unmix.models.blocks``. The recipes ``modular-*``
combine them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal, Self

import torch
from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import Settings
from ..frontends.features import (
    at_network_precision,
    frequency_plane,
    levelled_complex_as_channels,
    levelled_magnitude,
)
from ._base import MaskModel, SpectrogramConfig
from ._registry import register
from .blocks.axial import AxialTransformer
from .blocks.conv import Activation, Norm, PlainBlock, ResidualBlock, Style
from .blocks.dense import DenseBlock, dense_growth
from .blocks.multires import MultiResBlock, multires_widths
from .blocks.recurrent import RecurrentBlock
from .blocks.resample import Double, Halve, Pool, Repeat, fold_subbands, unfold_subbands
from .blocks.skeleton import Parts, Skeleton
from .blocks.skips import Add, Concatenate, Convolved, Gated, Multiply, Skip
from .blocks.tfc_tdf import TfcTdfBlock

_BLOCKS = {
    "plain": PlainBlock,
    "residual": ResidualBlock,
    "dense": DenseBlock,
    "multires": MultiResBlock,
    "recurrent": RecurrentBlock,
}
# Blocks whose papers put norm and activation before the convolution.
_PREACTIVATED = ("residual", "tfc-tdf")
# Smaller masks count as zero, because their phase is noise.
_LEAST_MASK = 1e-6


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, int) else value


#: Layers of each level, from the first on.
Layers = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1), BeforeValidator(_as_tuple)
]


class BlockSettings(Settings):
    """The block of every level."""

    kind: Literal["plain", "residual", "dense", "multires", "recurrent", "tfc-tdf"] = "plain"
    """Plain (Ronneberger et al.), residual (Zhang et al.), dense (Guan et al.), MultiRes (Ibtehaz
    et al.), recurrent residual (Alom et al.) or TFC-TDF (Kim et al.)."""
    layers: Layers = (2,)
    """Layers of a block, as its paper counts them: one number, or one for each level from the first
    on; the last number holds for all deeper levels."""
    norm: Norm = "batch"
    """Normalisation of every layer; see ``Style``."""
    activation: Activation = "relu"
    """Activation of every layer."""
    tdf_factor: int = Field(default=8, ge=1)
    """By how much the layers over frequency narrow in between; for ``tfc-tdf`` only."""

    def layers_at(self, level: int) -> int:
        """Return the number of layers in a block of a level, counted from 0."""
        return self.layers[min(level, len(self.layers) - 1)]


class BottleneckSettings(Settings):
    """The bottom of the network, after the deepest block."""

    kind: Literal["block", "axial"] = "block"
    """``block``: nothing more; ``axial``: a transformer over frames and bins (Ho et al.)."""
    layers: int = Field(default=2, ge=1)
    """Layers of the transformer."""
    heads: int = Field(default=4, ge=1)
    """Attention heads of each layer."""


class ResamplingSettings(Settings):
    """How levels halve and double."""

    down: Literal["conv", "pool"] = "conv"
    """A strided 2x2 convolution, which also widens, or 2x2 max pooling."""
    up: Literal["transposed", "repeat"] = "transposed"
    """A 2x2 transposed convolution, or repeated values and a 3x3 convolution."""


class FeatureSettings(Settings):
    """What the network sees of the mixture."""

    kind: Literal["magnitude", "complex"] = "magnitude"
    """Magnitudes, or real and imaginary parts as channels."""
    exponent: float = Field(default=0.5, gt=0, le=1)
    """Exponent that compresses the levelled magnitudes; 1 for none."""
    frequency_plane: bool = True
    """Whether the input has a plane with the position of each bin."""
    subbands: int = Field(default=1, ge=1)
    """Bands of bins folded into channels (Liu et al., Interspeech 2020)."""


class ModularUNetConfig(SpectrogramConfig):
    """Settings of the modular U-Net."""

    width: int = Field(default=16, ge=1)
    """Feature maps of the first level."""
    growth: Literal["double", "linear"] = "double"
    """Whether a level has twice as many feature maps as the one above, or ``width`` more."""
    depth: int = Field(default=4, ge=1, le=32)
    """How many times time and frequency are halved."""
    block: BlockSettings = BlockSettings()
    skip: Literal["concat", "add", "multiply", "attention", "respath", "nested"] = "concat"
    """How the encoder's features join the decoder's: concatenation, sum, product, an attention gate
    (Oktay et al.), residual units on the way (Ibtehaz et al.), or nested nodes (Zhou et al.; check
    the licence and the patent claim of the authors' own implementation before you use them)."""
    bottleneck: BottleneckSettings = BottleneckSettings()
    resampling: ResamplingSettings = ResamplingSettings()
    features: FeatureSettings = FeatureSettings()
    mask: Literal["ratio", "complex", "bounded-complex"] = "ratio"
    """``ratio``: in [0, 1]; ``complex``: any complex number; ``bounded-complex``: a complex number
    whose magnitude tanh keeps below 1 (Choi et al., "Phase-aware Speech Enhancement with Deep
    Complex U-Net", ICLR 2019)."""

    @property
    def widths(self) -> list[int]:
        """Feature maps of every level, the deepest last."""
        levels = range(self.depth + 1)
        if self.growth == "double":
            return [self.width * 2**level for level in levels]
        return [self.width * (level + 1) for level in levels]

    @property
    def bins(self) -> int:
        """Bins at the first level: of a sub-band, without the bin at 0 Hz, padded."""
        step = 1 << self.depth
        return math.ceil(self.n_fft // 2 / (self.features.subbands * step)) * step

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.n_fft // 2 < self.features.subbands * 2 ** (self.depth + 1):
            raise ValueError(
                f"{self.n_fft // 2} bins in {self.features.subbands} sub-bands cannot be halved "
                f"{self.depth} times; choose a smaller depth or a larger n_fft"
            )
        if self.mask != "ratio" and self.features.kind == "magnitude":
            raise ValueError(
                f'mask = "{self.mask}" needs features with a phase; '
                'choose features.kind = "complex" or mask = "ratio"'
            )
        if len(self.block.layers) > self.depth + 1:
            raise ValueError(
                f"block.layers has {len(self.block.layers)} numbers for {self.depth + 1} levels; "
                "leave some out, or choose a larger depth"
            )
        for level, width in enumerate(self.widths):
            if self.block.kind == "dense":
                dense_growth(width, self.block.layers_at(level))
            if self.block.kind == "multires":
                multires_widths(width, self.block.layers_at(level))
        pair = 2 * self.bottleneck.heads
        if self.bottleneck.kind == "axial" and self.widths[-1] % pair:
            raise ValueError(
                f"the deepest width must be a multiple of {pair} for {self.bottleneck.heads} "
                f"attention heads, got {self.widths[-1]}"
            )
        return self


@register("modular-unet", ModularUNetConfig)
class ModularUNet(MaskModel):
    """Levelled features, a skeleton with the chosen parts, and a mask per stem and channel."""

    config: ModularUNetConfig
    levelled = True

    def __init__(self, config: ModularUNetConfig) -> None:
        super().__init__(config)
        features, channels = config.features, config.audio_channels
        planes = (2 if features.kind == "complex" else 1) * channels + features.frequency_plane
        masks = (1 if config.mask == "ratio" else 2) * len(config.stems) * channels
        self.skeleton = Skeleton(
            features.subbands * planes, config.widths, config.bins, _parts(config)
        )
        self.head = nn.Conv2d(config.width, features.subbands * masks, 1)

    def predict_mask(self, frames: Tensor) -> Tensor:
        """Return the mask ``[B, S, C, F, T]`` for complex frames ``[B, C, F, T]``.

        The network does not see the bin at 0 Hz, which holds no voice: its mask is zero.
        """
        logits = self._run(self._features(frames[:, :, 1:])).float()
        logits = F.pad(logits, (0, 0, 1, 0), value=-torch.inf if self._is_ratio else 0.0)
        logits = logits.unflatten(1, (len(self.stems), self.audio_channels, -1))
        if self._is_ratio:
            return torch.sigmoid(logits.squeeze(3))
        mask = torch.complex(logits[:, :, :, 0], logits[:, :, :, 1])
        return _bounded(mask) if self.config.mask == "bounded-complex" else mask

    @property
    def _is_ratio(self) -> bool:
        return self.config.mask == "ratio"

    def _features(self, frames: Tensor) -> Tensor:
        """Return levelled planes of complex frames ``[B, C, F, T]``."""
        settings = self.config.features
        if settings.kind == "complex":
            features = levelled_complex_as_channels(frames, settings.exponent)
        else:
            features = levelled_magnitude(frames, settings.exponent)
        features = at_network_precision(features)
        if settings.frequency_plane:
            features = torch.cat([features, frequency_plane(features)], 1)
        return features

    def _run(self, features: Tensor) -> Tensor:
        """Return logits ``[B, masks, F, T]`` of features ``[B, planes, F, T]``."""
        bins, count = features.shape[-2:]
        subbands = self.config.features.subbands
        padding = (0, -count % 2**self.config.depth, 0, subbands * self.config.bins - bins)
        if any(padding):  # an empty padding would still copy the features
            features = F.pad(features, padding)
        folded = fold_subbands(features, subbands)
        # Convolutions on the CPU are a third faster in this layout.
        folded = folded.contiguous(memory_format=torch.channels_last)
        logits = self.head(self.skeleton(folded))
        return unfold_subbands(logits, subbands)[..., :bins, :count]


def _bounded(mask: Tensor) -> Tensor:
    """Return complex numbers with the same phase, and tanh of the magnitude."""
    parts = torch.view_as_real(mask)
    magnitude = parts.square().sum(-1, keepdim=True).clamp(min=_LEAST_MASK**2).sqrt()
    return torch.view_as_complex(parts * (torch.tanh(magnitude) / magnitude))


def _parts(config: ModularUNetConfig) -> Parts:
    settings = config.block
    style = Style(settings.norm, settings.activation, settings.kind in _PREACTIVATED)

    def block(width_in: int, width_out: int, bins: int) -> nn.Module:
        # Every level has a width of its own, which identifies it.
        layers = settings.layers_at(config.widths.index(width_out))
        if settings.kind == "tfc-tdf":
            factor = settings.tdf_factor
            return TfcTdfBlock(width_in, width_out, layers, style, bins, factor)
        return _BLOCKS[settings.kind](width_in, width_out, layers, style)

    def down(width_in: int, width_out: int) -> Halve | Pool:
        pools = config.resampling.down == "pool"
        return Pool(width_in) if pools else Halve(width_in, width_out, style)

    def up(width_in: int, width_out: int) -> nn.Module:
        repeats = config.resampling.up == "repeat"
        return (Repeat if repeats else Double)(width_in, width_out, style)

    def skip(width: int, below: int, across: int) -> Skip:
        choices: dict[str, Callable[[], Skip]] = {
            "concat": Concatenate,
            "nested": lambda: Concatenate(across),
            "add": Add,
            "multiply": Multiply,
            "attention": lambda: Gated(width, style),
            "respath": lambda: Convolved(width, below, style),
        }
        return choices[config.skip]()

    def bottleneck(width: int) -> nn.Module:
        if config.bottleneck.kind == "block":
            return nn.Identity()
        return AxialTransformer(width, config.bottleneck.layers, config.bottleneck.heads)

    return Parts(
        style=style,
        block=block,
        down=down,
        up=up,
        skip=skip,
        bottleneck=bottleneck,
        nested=config.skip == "nested",
    )
