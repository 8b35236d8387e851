"""What a network sees of the frames: levelled, compressed, and told which bin is which."""

from __future__ import annotations

import torch
from torch import Tensor

# A spectrogram's peaks stand some twenty times above its mean: dividing by that many means brings
# the input near [0, 1], as networks like it, without one loud bin deciding the level of all others.
_PEAK_OVER_MEAN = 20.0

#: Added to the level, in the unit of magnitudes: silence stays zero instead of becoming 0 / 0.
SILENCE = 1e-6

# Below this share of the level, compression of complex values is linear: its slope stays finite.
_LEAST_COMPRESSED = 1e-3


def level_of_sound(magnitude: Tensor) -> Tensor:
    """Return the level ``[B, 1, 1, 1]`` of magnitudes ``[B, C, F, T]``: about that of their peaks.

    The end of a song and a short clip are filled up with zeros: silent frames do not count, lest
    they make the sound look soft.
    """
    frames = magnitude.mean((1, 2), keepdim=True)  # [B, 1, 1, T]
    sounding = (frames > 0).sum(3, keepdim=True).clamp(min=1)
    return _PEAK_OVER_MEAN * (frames.sum(3, keepdim=True) / sounding)


def levelled_magnitude(frames: Tensor, exponent: float) -> Tensor:
    """Return magnitudes ``[B, C, F, T]`` of complex frames, levelled, to the power ``exponent``."""
    magnitude = frames.abs()
    return (magnitude / (level_of_sound(magnitude) + SILENCE)) ** exponent


def levelled_complex_as_channels(frames: Tensor, exponent: float) -> Tensor:
    """Return real and imaginary parts ``[B, 2 * C, F, T]``, in pairs, of complex ``[B, C, F, T]``.

    Levelled; the magnitude goes to the power ``exponent`` and the phase stays what it is.
    """
    magnitude = frames.abs()
    level = level_of_sound(magnitude) + SILENCE
    scale = (magnitude / level).clamp(min=_LEAST_COMPRESSED) ** (exponent - 1) / level
    parts = torch.view_as_real(frames) * scale.unsqueeze(-1)  # [B, C, F, T, 2]
    return parts.movedim(-1, 2).flatten(1, 2)


def frequency_plane(features: Tensor) -> Tensor:
    """Return ``[B, 1, F, T]``: position on a logarithmic axis, from 0 at the lowest bin to 1."""
    batch, _, bins, count = features.shape
    position = torch.arange(1, bins + 1, device=features.device, dtype=features.dtype).log2()
    position = position / position[-1].clamp(min=1)
    return position.view(1, 1, bins, 1).expand(batch, 1, bins, count)
