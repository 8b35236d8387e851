"""Reverberation: convolution with decaying noise, new for each stem."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .chance import Chance
from .config import ReverbConfig
from .filters import fast

# Range of the pre-delay in seconds.
_PREDELAY = (0.005, 0.03)
# Range of the frequency in Hz above which reverberation falls by 6 dB per octave.
_DAMPING = (2000.0, 8000.0)


def add_reverb(samples: Tensor, config: ReverbConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return vocals ``[K, S, C, N]`` with added reverberation at a random level."""
    length = samples.shape[-1]
    shape = (*samples.shape[:2], 1, 1)
    decay = chance.ratio(config.decay, *shape) * sample_rate
    delay = chance.uniform(_PREDELAY, *shape) * sample_rate
    damping = chance.ratio(_DAMPING, *shape)
    # Later taps would sound after the end of the excerpt, or are below -60 dB.
    taps = min(length, math.ceil((config.decay[1] + _PREDELAY[1]) * sample_rate))
    room = decaying(chance.noise(*samples.shape[:3], taps), decay, delay)
    size = fast(length + taps)
    frequencies = torch.fft.rfftfreq(size, 1 / sample_rate, device=samples.device)
    response = torch.fft.rfft(room, size) / (1 + (frequencies / damping).square()).sqrt()
    # Unit power gain for white noise.
    power = response.abs().square().mean((-2, -1), keepdim=True)
    response = response * (chance.gain(config.decibels, *shape) / power.clamp(min=1e-12).sqrt())
    reverberation: Tensor = torch.fft.irfft(torch.fft.rfft(samples, size) * response, size)
    return samples + reverberation[..., :length]


def decaying(noise: Tensor, decay: Tensor, delay: Tensor) -> Tensor:
    """Return noise ``[..., taps]`` that starts after ``delay`` and falls by 60 dB in ``decay``.

    Both are in samples.
    """
    later = torch.arange(noise.shape[-1], device=noise.device) - delay
    return noise * torch.exp(-math.log(1000) * later / decay) * (later >= 0)
