"""Gain, channels and polarity of stems; and what the level of a stem is."""

from __future__ import annotations

import math

from torch import Tensor

from .chance import Chance
from .config import LevelConfig

#: Level below which a stem counts as silent: dividing by less would make something of nothing.
LEAST = 1e-12


def level(samples: Tensor) -> Tensor:
    """Return the root mean square over channels and time, ``[..., 1, 1]``."""
    return samples.square().mean((-2, -1), keepdim=True).sqrt()


def match_level(samples: Tensor, model: Tensor, most: float = math.inf) -> Tensor:
    """Return stems as loud as those of ``model``, by a gain of ``most`` at most; silent ones as
    they are.
    """
    gain = level(model) / level(samples).clamp(min=LEAST)
    return samples * gain.clamp(max=most)


def change_gain(samples: Tensor, config: LevelConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return stems ``[K, S, C, N]``, each with a gain of its own."""
    return samples * chance.gain(config.decibels, *samples.shape[:2], 1, 1)


def swap_channels(samples: Tensor, share: float, chance: Chance) -> Tensor:
    """Return stems ``[B, S, C, N]``, a share of them with their channels reversed."""
    chosen = chance.happens(share, *samples.shape[:2], 1, 1)
    return samples.flip(2).where(chosen, samples)


def invert(samples: Tensor, share: float, chance: Chance) -> Tensor:
    """Return stems ``[B, S, C, N]``, a share of them with reversed polarity."""
    chosen = chance.happens(share, *samples.shape[:2], 1, 1)
    return (-samples).where(chosen, samples)
