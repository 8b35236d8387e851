"""What a network sees of the frames: levelled, compressed, and told which bin is which."""

from __future__ import annotations

import torch
from torch import Tensor

from .magnitude import magnitude

# A spectrogram's peaks stand some twenty times above its mean: dividing by that many means brings
# the input near [0, 1], as networks like it, without one loud bin deciding the level of all others.
_PEAK_OVER_MEAN = 20.0

#: Added to the level, in the unit of magnitudes: silence stays zero instead of becoming 0 / 0.
SILENCE = 1e-6

# Below this share of the level, compression of complex values is linear: its slope stays finite.
_LEAST_COMPRESSED = 1e-3


def level_of_sound(magnitudes: Tensor) -> Tensor:
    """Return the level ``[B, 1, 1, 1]`` of magnitudes ``[B, C, F, T]``: about that of their peaks.

    The end of a song and a short clip are filled up with zeros: silent frames do not count, lest
    they make the sound look soft.
    """
    frames = magnitudes.mean((1, 2), keepdim=True)  # [B, 1, 1, T]
    sounding = (frames > 0).sum(3, keepdim=True).clamp(min=1)
    return _PEAK_OVER_MEAN * (frames.sum(3, keepdim=True) / sounding)


def levelled_magnitude(frames: Tensor, exponent: float) -> Tensor:
    """Return magnitudes ``[B, C, F, T]`` of complex frames, levelled, to the power ``exponent``."""
    magnitudes = magnitude(frames)
    return (magnitudes / (level_of_sound(magnitudes) + SILENCE)) ** exponent


def levelled_complex_as_channels(frames: Tensor, exponent: float) -> Tensor:
    """Return real and imaginary parts ``[B, 2 * C, F, T]``, in pairs, of complex ``[B, C, F, T]``.

    Levelled; the magnitude goes to the power ``exponent`` and the phase stays what it is.
    """
    magnitudes = magnitude(frames)
    level = level_of_sound(magnitudes) + SILENCE
    scale = (magnitudes / level).clamp(min=_LEAST_COMPRESSED) ** (exponent - 1) / level
    return torch.stack([frames.real * scale, frames.imag * scale], 2).flatten(1, 2)


def frequency_plane(features: Tensor) -> Tensor:
    """Return ``[B, 1, F, T]``: position on a logarithmic axis, from 0 at the lowest bin to 1."""
    batch, _, bins, count = features.shape
    exact = torch.promote_types(features.dtype, torch.float32)
    position = torch.arange(1, bins + 1, device=features.device, dtype=exact).log2()
    position = (position / position[-1].clamp(min=1)).to(features.dtype)
    return position.view(1, 1, bins, 1).expand(batch, 1, bins, count)


def at_network_precision(features: Tensor) -> Tensor:
    """Return features at the precision that a network's first convolution brings them to here.

    Under autocast that is 16 bits, but for float64: what is arranged afterwards moves half as much.
    """
    device = features.device.type
    if features.dtype == torch.float32 and torch.is_autocast_enabled(device):
        return features.to(torch.get_autocast_dtype(device))
    return features
