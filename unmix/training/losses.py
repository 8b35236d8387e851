"""Losses: distances between estimates and references, within the band that is known."""

from __future__ import annotations

import torch
from torch import Tensor

from ..frontends import STFT
from .config import LossConfig

# Added to the mixture's level: the loss of silence is finite.
_SILENCE = 1e-4


def separation_loss(
    estimates: Tensor,
    references: Tensor,
    mixture: Tensor,
    weight: Tensor,
    stft: STFT,
    config: LossConfig,
) -> Tensor:
    """Return the weighted sum of the terms, a scalar.

    Args:
        estimates: complex frames ``[B, S, C, F, T]``.
        references: samples ``[B, S, C, N]``, or one stem more: what remains of the mixture,
            compared with the mixture minus all estimates.
        mixture: complex frames ``[B, C, F, T]``.
        weight: ``[B, F]``, 1 in the band that the references know, 0 above.
        stft: the transform that made the frames.
        config: weights of the terms.
    """
    if references.shape[1] == estimates.shape[1] + 1:
        residual = mixture.unsqueeze(1) - estimates.sum(1, keepdim=True)
        estimates = torch.cat([estimates, residual], 1)
    band = weight[:, None, None, :, None]
    truth = stft(references)
    loss = estimates.real.new_zeros(())
    level = mixture.abs().mean((1, 2, 3)) + _SILENCE
    if config.magnitude:
        distance = (estimates.abs() - truth.abs()).abs() * band
        loss = loss + config.magnitude * relative(distance, level)
    if config.complex:
        distance = (estimates - truth).abs() * band
        loss = loss + config.complex * relative(distance, level)
    if config.waveform:
        length = references.shape[-1]
        difference = stft.inverse((estimates - truth) * band, length)
        level = stft.inverse(mixture, length).abs().mean((1, 2)) + _SILENCE
        loss = loss + config.waveform * relative(difference.abs(), level)
    return loss


def relative(distance: Tensor, level: Tensor) -> Tensor:
    """Return the mean of ``[B, ...]`` distances, each item divided by its level ``[B]``."""
    return (distance.flatten(1).mean(1) / level).mean()


def band_weight(band: Tensor, stft: STFT, sample_rate: int) -> Tensor:
    """Return ``[B, F]``: 1 for bins at or below ``band`` Hz ``[B]``, 0 above."""
    bins = torch.arange(stft.bins, device=band.device) * (sample_rate / stft.n_fft)
    return (bins <= band.unsqueeze(1)).float()
