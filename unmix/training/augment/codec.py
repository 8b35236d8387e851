"""Artefacts of lossy codecs: quantised magnitudes, with holes in quiet bins."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...frontends import STFT
from .chance import Chance
from .config import CodecConfig

# Window length in samples, as in codecs of any rate; and bins that share a quantisation step.
_N_FFT = 1024
_BAND = 8


def simulate_codec(
    samples: Tensor, config: CodecConfig, sample_rate: int, chance: Chance
) -> Tensor:
    """Return items ``[K, S, C, N]`` as if their mixture had been coded by a lossy codec.

    The codec multiplies each bin of the mixture by a factor from 0 to 2. All stems get the same
    factor, so that they still sum to the mixture.
    """
    cutoff = chance.ratio(config.cutoff, len(samples), 1, 1, 1)
    precision = chance.uniform(config.precision, len(samples), 1, 1, 1)
    stft = STFT(_N_FFT, _N_FFT // 2).to(samples.device)
    place = stft.frequencies(sample_rate)[:, None] / cutoff
    frames = stft(samples)
    factor = quantisation(frames.sum(1).abs(), precision * (1 - place)) * (place < 1)
    degraded: Tensor = stft.inverse(frames * factor[:, None], samples.shape[-1])
    return degraded


def quantisation(magnitude: Tensor, precision: Tensor) -> Tensor:
    """Return the factors ``[..., F, T]`` that quantise magnitudes ``[..., F, T]``.

    The step is ``precision`` dB ``[..., F, 1]`` below the level of the bins of a band.
    """
    bins = magnitude.shape[-2]
    padded = F.pad(magnitude, (0, 0, 0, -bins % _BAND))
    power = padded.unflatten(-2, (-1, _BAND)).square().mean(-2)
    band = power.sqrt().repeat_interleave(_BAND, -2)[..., :bins, :]
    step = (band * 10 ** (-precision / 20)).clamp(min=torch.finfo(band.dtype).tiny)
    steps = magnitude / step
    factor: Tensor = steps.round() / steps.clamp(min=0.5)
    return factor
