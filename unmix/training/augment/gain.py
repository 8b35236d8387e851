"""Gain, channel order and polarity of stems."""

from __future__ import annotations

import math

from torch import Tensor

from .chance import Chance
from .config import LevelConfig

#: Level below which a stem counts as silent; divisors are at least this.
LEAST = 1e-12


def level(samples: Tensor) -> Tensor:
    """Return the RMS level over channels and samples, ``[..., 1, 1]``."""
    return samples.square().mean((-2, -1), keepdim=True).sqrt()


def match_level(samples: Tensor, original: Tensor, max_gain: float = math.inf) -> Tensor:
    """Return stems at the level of ``original``, as far as ``max_gain`` allows."""
    gain = level(original) / level(samples).clamp(min=LEAST)
    return samples * gain.clamp(max=max_gain)


def change_gain(samples: Tensor, config: LevelConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return stems ``[K, S, C, N]``, each with its own gain."""
    return samples * chance.gain(config.decibels, *samples.shape[:2], 1, 1)


def swap_channels(samples: Tensor, share: float, chance: Chance) -> Tensor:
    """Return stems ``[B, S, C, N]``, a share of them with left and right swapped."""
    chosen = chance.happens(share, *samples.shape[:2], 1, 1)
    return samples.flip(2).where(chosen, samples)


def invert(samples: Tensor, share: float, chance: Chance) -> Tensor:
    """Return stems ``[B, S, C, N]``, a share of them with inverted polarity."""
    chosen = chance.happens(share, *samples.shape[:2], 1, 1)
    return (-samples).where(chosen, samples)
