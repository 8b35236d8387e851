"""Doubling: add delayed copies of the vocals, as in double tracking and chorus effects."""

from __future__ import annotations

import torch
from torch import Tensor

from .chance import Chance
from .config import DoublingConfig

# Range of the modulation frequency of a copy's delay in Hz.
_WAVERING = (0.2, 1.5)


def add_doubling(
    samples: Tensor, config: DoublingConfig, sample_rate: int, chance: Chance
) -> Tensor:
    """Return vocals ``[K, S, C, N]`` with delayed copies of wavering pitch, each panned."""
    result = samples.clone()
    shape = (*samples.shape[:2], 1, 1)
    seconds = torch.arange(samples.shape[-1], device=samples.device) / sample_rate
    for _ in range(config.voices):
        rate = chance.uniform(_WAVERING, *shape)
        turn = 2 * torch.pi * (rate * seconds + chance.uniform((0, 1), *shape))
        # A changing delay d shifts the pitch by the factor 1 - d'.
        depth = (2 ** (chance.uniform(config.detune, *shape) / 1200) - 1) / (2 * torch.pi * rate)
        late = chance.uniform(config.delay, *shape) + depth * (1 + torch.sin(turn))
        copy = delayed(samples, late * sample_rate) * chance.gain(config.decibels, *shape)
        result += copy * pan(chance.uniform((-1, 1), *shape), samples.shape[2])
    return result


def delayed(samples: Tensor, delay: Tensor) -> Tensor:
    """Return samples ``[..., C, N]`` delayed by ``delay`` ``[..., 1, N]`` samples, at least 0.

    Interpolates linearly between samples; before the first one there is silence.
    """
    length = samples.shape[-1]
    position = torch.arange(length, device=samples.device) - delay
    before = position.floor()
    between = position - before
    index = before.long().expand(samples.shape)
    padded = torch.cat([torch.zeros_like(samples[..., :1]), samples], -1)  # silence is at 0
    earlier = padded.gather(-1, (index + 1).clamp(0, length))
    later = padded.gather(-1, (index + 2).clamp(0, length))
    return earlier.lerp(later, between)


def pan(place: Tensor, channels: int) -> Tensor:
    """Return panning gains ``[..., C, 1]`` of a place from left, -1, to right, 1 ``[..., 1, 1]``.

    The power is constant. Sounds that do not have two channels are not panned.
    """
    if channels != 2:
        return torch.ones_like(place)
    angle = torch.pi / 4 * (place + 1)
    return 2**0.5 * torch.cat([angle.cos(), angle.sin()], -2)
