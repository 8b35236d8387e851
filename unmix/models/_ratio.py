"""What the networks of Spleeter share: magnitudes estimated piece by piece, and ratio masks."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from ..frontends.masks import MaskExtension, extend_mask, ratio_mask
from ..stems import ACCOMPANIMENT, VOCALS
from ._base import MaskModel, SpectrogramConfig


class RatioConfig(SpectrogramConfig):
    """Settings of a model whose masks are ratios of the stems' magnitudes."""

    stems: tuple[str, ...] = (VOCALS, ACCOMPANIMENT)
    padding: Literal["full"] = "full"
    frames: int = Field(default=512, ge=2)
    """Frames that the networks see at once. Longer mixtures are cut into independent pieces."""
    bins: int = Field(default=1024, ge=1)
    """Bins F' that the networks see, from 0 Hz."""
    exponent: float = Field(default=2.0, gt=0)
    """Exponent of the magnitudes whose ratios are the masks."""
    mask_extension: MaskExtension = "rest"
    """Masks above ``bins``; see ``extend_mask``. With ``rest``, these bins go to the accompaniment,
    or else to ``other``, or else to the last stem. Spleeter itself offers ``zeros`` and
    ``average``."""

    @model_validator(mode="after")
    def _seen(self) -> Self:
        if self.bins > self.n_fft // 2 + 1:
            raise ValueError(
                f"expected at most {self.n_fft // 2 + 1} bins with n_fft {self.n_fft}, "
                f"got {self.bins}"
            )
        return self


class RatioModel(MaskModel):
    """Networks estimate the stems' magnitudes; subclasses do so for one piece."""

    config: RatioConfig

    @abstractmethod
    def estimate_piece(self, magnitude: Tensor) -> Tensor:
        """Return the stems' magnitudes ``[B, S, C, F', T]`` of the mixture's ``[B, C, F', T]``.

        T is ``config.frames``, and F' is ``config.bins``.
        """

    def estimate_magnitudes(self, frames: Tensor) -> Tensor:
        """Return the stems' magnitudes ``[B, S, C, F', T]`` of complex frames ``[B, C, F, T]``."""
        magnitude = frames[:, :, : self.config.bins].abs()
        batch, _, _, count = magnitude.shape
        padded = F.pad(magnitude, (0, -count % self.config.frames))
        pieces = padded.unflatten(3, (-1, self.config.frames)).movedim(3, 1)
        estimates = self.estimate_piece(pieces.flatten(0, 1)).float()
        estimates = estimates.reshape(batch, -1, *estimates.shape[1:])  # [B, piece, S, C, F', T]
        return estimates.movedim(1, -2).flatten(-2)[..., :count]

    def predict_mask(self, frames: Tensor) -> Tensor:
        """Return the mask ``[B, S, C, F, T]`` in [0, 1] for complex frames ``[B, C, F, T]``."""
        mask = ratio_mask(self.estimate_magnitudes(frames), self.config.exponent)
        return extend_mask(mask, frames.shape[2], self.config.mask_extension, self._rest)

    def source_magnitudes(self, frames: Tensor) -> Tensor:
        """Return the magnitudes ``[B, S, C, F, T]`` that the networks estimate.

        Above their bins they are zero, except the mixture's in one stem where ``mask_extension`` is
        ``rest``.
        """
        bins = self.config.bins
        magnitudes = self.estimate_magnitudes(frames)
        magnitudes = F.pad(magnitudes, (0, 0, 0, frames.shape[2] - bins))
        if self.config.mask_extension == "rest":
            magnitudes[:, self._rest, :, bins:] = frames[:, :, bins:].abs()
        return magnitudes

    @property
    def _rest(self) -> int:
        """Position of the stem that gets the bins above the networks' with ``rest``."""
        named = [self.stems.index(name) for name in (ACCOMPANIMENT, "other") if name in self.stems]
        return named[0] if named else -1
