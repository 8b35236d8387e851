"""What every model is: a network from a chunk of the mixture to a chunk of every stem.

Axes, in this order, everywhere in the package: **B** batch, **S** stem, **C** audio channel,
**F** frequency bin, **T** frame, **N** sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from ..config import Settings
from ..frontends import STFT, Padding
from ..frontends.masks import apply_mask, wiener_filter
from ..stems import ACCOMPANIMENT, INSTRUMENTS, VOCALS


class ModelConfig(Settings):
    """What separation must know of a model, whatever its architecture."""

    stems: tuple[str, ...] = (VOCALS,)
    """Names of the estimates, in the order of axis S."""
    sample_rate: int = Field(default=44100, gt=0)
    """Hz."""
    audio_channels: int = Field(default=2, gt=0)

    @field_validator("stems")
    @classmethod
    def _distinct(cls, stems: tuple[str, ...]) -> tuple[str, ...]:
        if not stems or len(set(stems)) != len(stems):
            raise ValueError("needs at least one stem, each named once")
        return stems


class SpectrogramConfig(ModelConfig):
    """A model that works on the mixture's frames."""

    n_fft: int = Field(default=4096, ge=2)
    hop_length: int = Field(default=1024, ge=1)
    padding: Padding = "zeros"
    """What the transform sees around the mixture, and where its frames lie: see ``STFT``."""
    frames: int = Field(default=128, ge=2)
    """Frames T of the chunk that the model likes best: what it is trained on."""
    wiener: int = Field(default=0, ge=0)
    """Iterations of the multichannel Wiener filter after the network; 0 is none. Losses on frames
    do not see it."""

    @model_validator(mode="after")
    def _invertible(self) -> Self:
        STFT(self.n_fft, self.hop_length, self.padding)
        return self


class Model(nn.Module, ABC):
    """Samples in, estimates out.

    The one contract with separation: ``forward`` takes a mixture ``[B, C, N]`` at ``sample_rate``
    and returns estimates ``[B, S, C, N - 2 * context]``: a model may consume ``context`` samples on
    each side. It accepts any length N > 2 * context and works best at ``chunk``.
    """

    Config: ClassVar[type[ModelConfig]]
    levelled: ClassVar[bool] = False
    """Whether a softer recording is separated the same way, only softer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the estimates, in the order of axis S."""
        return self.config.stems

    @property
    def sample_rate(self) -> int:
        """Sample rate of mixture and estimates, in Hz."""
        return self.config.sample_rate

    @property
    def audio_channels(self) -> int:
        """Number of audio channels C."""
        return self.config.audio_channels

    @property
    @abstractmethod
    def chunk(self) -> int:
        """Length in samples of the estimates that the model likes best."""

    @property
    def context(self) -> int:
        """Samples consumed, and not returned, on each side of the mixture."""
        return 0

    @property
    def step(self) -> int:
        """Samples that chunks should be apart by, or a multiple, to be cut on the same grid.

        A network that decimates keeps other samples of a chunk that starts elsewhere. Chunks that
        are longer than ``chunk`` by a multiple of it suit the network too.
        """
        return 1

    @abstractmethod
    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, N - 2 * context]`` of a mixture ``[B, C, N]``."""


class SpectrogramModel(Model):
    """Mixture to frames, frames to estimates, frames to samples; variants do the middle."""

    config: SpectrogramConfig

    def __init__(self, config: SpectrogramConfig) -> None:
        super().__init__(config)
        self.stft = STFT(config.n_fft, config.hop_length, config.padding)

    @property
    def chunk(self) -> int:
        """Samples that make exactly ``config.frames`` frames."""
        return self.stft.length(self.config.frames)

    @abstractmethod
    def estimate_frames(self, frames: Tensor) -> Tensor:
        """Return complex frames ``[B, S, C, F, T]`` of the stems in those ``[B, C, F, T]``."""

    @property
    def covers_mixture(self) -> bool:
        """Whether the stems are all that is in a mixture, by their names."""
        others = ({ACCOMPANIMENT}, set(INSTRUMENTS))
        return VOCALS in self.stems and any(names <= set(self.stems) for names in others)

    def source_magnitudes(self, frames: Tensor) -> Tensor:
        """Return what the Wiener filter tells apart: the stems, and what remains of the mixture.

        Args:
            frames: of the mixture, complex ``[B, C, F, T]``.

        Returns:
            Magnitudes ``[B, S, C, F, T]``, or of S + 1 where the stems are not all there is.
        """
        estimates = self.estimate_frames(frames)
        if self.covers_mixture:
            return estimates.abs()
        residual = frames.unsqueeze(1) - estimates.sum(1, keepdim=True)
        return torch.cat([estimates, residual], 1).abs()

    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, N]`` of a mixture ``[B, C, N]``."""
        frames = self.stft(mixture)  # [B, C, F, T], complex
        if self.config.wiener:
            sources = wiener_filter(frames, self.source_magnitudes(frames), self.config.wiener)
            estimates = sources[:, : len(self.stems)]
        else:
            estimates = self.estimate_frames(frames)  # [B, S, C, F, T], complex
        return self.stft.inverse(estimates, mixture.shape[-1])


class MaskModel(SpectrogramModel):
    """The frames of a stem are the mixture's, times a mask; variants predict the mask."""

    @abstractmethod
    def predict_mask(self, frames: Tensor) -> Tensor:
        """Return the mask ``[B, S, C, F, T]`` of the mixture's frames ``[B, C, F, T]``, complex."""

    def estimate_frames(self, frames: Tensor) -> Tensor:
        """Return complex frames ``[B, S, C, F, T]``: those ``[B, C, F, T]``, masked."""
        return apply_mask(frames, self.predict_mask(frames))
