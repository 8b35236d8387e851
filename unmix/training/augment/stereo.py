"""Stereo width and balance of stems.

Dry recordings are mono, while vocals in finished songs are anywhere from centred to wide.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .chance import Chance
from .config import StereoConfig
from .gain import match_level

# Largest gain to make up for narrowing, 12 dB: what remains of a stem whose channels cancel
# each other in mono must not become loud.
_MOST_GAIN = 4.0


def change_stereo(
    samples: Tensor, config: StereoConfig, sample_rate: int, chance: Chance
) -> Tensor:
    """Return stems ``[K, S, 2, N]`` with another width and balance.

    Each stem keeps its level, unless that needs a gain of more than 12 dB.
    """
    shape = (*samples.shape[:2], 1)
    left, right = samples.unbind(2)
    middle, side = (left + right) / 2, (left - right) / 2 * chance.uniform(config.width, *shape)
    gain = chance.gain(config.balance, *shape).sqrt()
    changed = torch.stack([(middle + side) * gain, (middle - side) / gain], 2)
    return match_level(changed, samples, _MOST_GAIN)
