"""The stereo image: how wide a stem is, and where between left and right it stands.

What is recorded dry is mono; finished songs hold voices from the middle alone to both sides alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .chance import Chance
from .config import StereoConfig
from .gain import match_level

# Gain that makes up for what narrowing takes, at the most, 12 dB: what left and right have with
# opposite polarity is all but gone in mono, and what is left of it is no stem to be heard.
_MOST_GAIN = 4.0


def change_stereo(
    samples: Tensor, config: StereoConfig, sample_rate: int, chance: Chance
) -> Tensor:
    """Return stems ``[K, S, 2, N]``, narrower or wider, and moved.

    Each is as loud as before, where that takes 12 dB or less.
    """
    shape = (*samples.shape[:2], 1)
    left, right = samples.unbind(2)
    middle, side = (left + right) / 2, (left - right) / 2 * chance.uniform(config.width, *shape)
    gain = chance.gain(config.balance, *shape).sqrt()
    changed = torch.stack([(middle + side) * gain, (middle - side) / gain], 2)
    return match_level(changed, samples, _MOST_GAIN)
