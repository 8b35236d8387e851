"""The stereo image: how wide a stem is, and where between left and right it stands.

What is recorded dry is mono; finished songs hold voices from the middle alone to both sides alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .chance import Chance
from .config import ImageConfig
from .levels import at_level_of


def change_image(samples: Tensor, config: ImageConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return stems ``[K, S, 2, N]``, each as loud as before, narrower or wider, and moved."""
    shape = (*samples.shape[:2], 1)
    left, right = samples.unbind(2)
    middle, side = (left + right) / 2, (left - right) / 2 * chance.uniform(config.width, *shape)
    gain = chance.gain(config.balance, *shape).sqrt()
    changed = torch.stack([(middle + side) * gain, (middle - side) / gain], 2)
    return at_level_of(changed, samples)
