"""The base classes of models: networks from a chunk of the mixture to a chunk of every stem.

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

#: Largest integer in the settings of a model; windows and chunks have a tenth of it.
_LARGEST = 1 << 22
_LONGEST = 256


class ModelConfig(Settings):
    """Settings that every model has, whatever its architecture."""

    stems: tuple[str, ...] = (VOCALS,)
    """Names of the estimates, in the order of axis S."""
    sample_rate: int = Field(default=44100, gt=0)
    """Hz."""
    audio_channels: int = Field(default=2, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, table: object) -> object:
        """Refuse numbers and lists that would take hours or the memory before a layer is made."""
        held = [table]
        while held:
            value = held.pop()
            if isinstance(value, int) and abs(value) > _LARGEST:
                raise ValueError(f"a number is larger than {_LARGEST}")
            if isinstance(value, (dict, list, tuple)):
                if len(value) > _LONGEST:
                    raise ValueError(f"a list has more than {_LONGEST} values")
                held += value.values() if isinstance(value, dict) else value
        return table

    @field_validator("stems")
    @classmethod
    def _distinct(cls, stems: tuple[str, ...]) -> tuple[str, ...]:
        if not stems or len(set(stems)) != len(stems):
            raise ValueError("expected at least one stem, and each name once")
        return stems


class SpectrogramConfig(ModelConfig):
    """Settings of a model that works on the mixture's frames."""

    n_fft: int = Field(default=4096, ge=2)
    """Window and transform length in samples."""
    hop_length: int = Field(default=1024, ge=1)
    """Samples between two frames."""
    padding: Padding = "zeros"
    """What surrounds the mixture, and where its frames lie; see ``STFT``."""
    frames: int = Field(default=128, ge=2)
    """Frames T of a chunk, in training and by default in separation."""
    wiener: int = Field(default=0, ge=0, le=1000)
    """Iterations of the multichannel Wiener filter after the network; 0 for none. Losses on frames
    are computed without it."""

    @model_validator(mode="after")
    def _invertible(self) -> Self:
        STFT(self.n_fft, self.hop_length, self.padding)
        return self


class Model(nn.Module, ABC):
    """Samples in, estimates out.

    ``forward`` takes a mixture ``[B, C, N]`` at ``sample_rate``, of any length N > 2 * context, and
    returns estimates ``[B, S, C, N - 2 * context]``. Separation relies on nothing but that and the
    properties below.
    """

    Config: ClassVar[type[ModelConfig]]
    levelled: ClassVar[bool] = False
    """Whether scaling the mixture scales the estimates alike."""

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
        """Length of the estimates that suits the model best, in samples."""

    @property
    def context(self) -> int:
        """Samples on each side of the mixture that are consumed and not returned."""
        return 0

    @property
    def step(self) -> int:
        """Chunks should start at multiples of this, and be ``chunk`` plus a multiple of it long.

        A network that decimates keeps other samples of a chunk that starts between these points.
        """
        return 1

    def inner_length(self, mixture: Tensor) -> int:
        """Return how many samples of a mixture ``[B, C, N]`` are left without the context."""
        length = mixture.shape[-1] - 2 * self.context
        if length < 1:
            raise ValueError(
                f"expected more than {2 * self.context} samples, got {mixture.shape[-1]}"
            )
        return length

    @abstractmethod
    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, N - 2 * context]`` of a mixture ``[B, C, N]``."""


class SpectrogramModel(Model):
    """Mixture to frames, frames to estimates, estimates to samples; subclasses do the middle."""

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
        """Return the stems' frames ``[B, S, C, F, T]`` for the mixture's ``[B, C, F, T]``."""

    @property
    def covers_mixture(self) -> bool:
        """Whether the stems, by their names, are all there is in a mixture."""
        others = ({ACCOMPANIMENT}, set(INSTRUMENTS))
        return VOCALS in self.stems and any(names <= set(self.stems) for names in others)

    def source_magnitudes(self, frames: Tensor) -> Tensor:
        """Return the magnitudes for the Wiener filter: those of the stems and of the residual.

        Args:
            frames: of the mixture, complex ``[B, C, F, T]``.

        Returns:
            Magnitudes ``[B, S, C, F, T]`` where the stems cover the mixture, else of S + 1 sources.
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
    """The frames of a stem are the mixture's times a mask, which subclasses predict."""

    @abstractmethod
    def predict_mask(self, frames: Tensor) -> Tensor:
        """Return the mask ``[B, S, C, F, T]`` for the mixture's complex frames ``[B, C, F, T]``."""

    def estimate_frames(self, frames: Tensor) -> Tensor:
        """Return the stems' frames ``[B, S, C, F, T]`` for the mixture's ``[B, C, F, T]``."""
        return apply_mask(frames, self.predict_mask(frames))
