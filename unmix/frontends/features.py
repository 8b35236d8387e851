"""What a network sees of the frames: magnitudes or complex values, levelled and compressed."""

from __future__ import annotations

import torch
from torch import Tensor

from .magnitude import magnitude

# The peaks of a spectrogram are about twenty times its mean. Dividing by twenty means brings the
# input near [0, 1], without a single loud bin deciding the level of all others.
_PEAK_OVER_MEAN = 20.0

#: Added to the level, in units of magnitude, so that silence stays zero.
LEVEL_OFFSET = 1e-6

# Below this fraction of the level, complex values are compressed linearly: the slope stays finite.
_LEAST_COMPRESSED = 1e-3


def level_of_sound(magnitudes: Tensor) -> Tensor:
    """Return the level ``[B, 1, 1, 1]`` of magnitudes ``[B, C, F, T]``, about that of their peaks.

    Silent frames are ignored: the end of a song and short clips are padded with zeros, which would
    lower the mean.
    """
    frames = magnitudes.mean((1, 2), keepdim=True)  # [B, 1, 1, T]
    sounding = (frames > 0).sum(3, keepdim=True).clamp(min=1)
    return _PEAK_OVER_MEAN * (frames.sum(3, keepdim=True) / sounding)


def levelled_magnitude(frames: Tensor, exponent: float) -> Tensor:
    """Return levelled magnitudes ``[B, C, F, T]`` of complex frames, raised to ``exponent``."""
    magnitudes = magnitude(frames)
    return (magnitudes / (level_of_sound(magnitudes) + LEVEL_OFFSET)) ** exponent


def levelled_complex_as_channels(frames: Tensor, exponent: float) -> Tensor:
    """Return real and imaginary parts ``[B, 2 * C, F, T]``, in pairs, of complex ``[B, C, F, T]``.

    Magnitudes are levelled and raised to ``exponent``; phases do not change.
    """
    magnitudes = magnitude(frames)
    level = level_of_sound(magnitudes) + LEVEL_OFFSET
    scale = (magnitudes / level).clamp(min=_LEAST_COMPRESSED) ** (exponent - 1) / level
    return torch.stack([frames.real * scale, frames.imag * scale], 2).flatten(1, 2)


def frequency_plane(features: Tensor) -> Tensor:
    """Return the positions ``[B, 1, F, T]`` of bins on a logarithmic axis, from 0 to 1."""
    batch, _, bins, count = features.shape
    exact = torch.promote_types(features.dtype, torch.float32)
    position = torch.arange(1, bins + 1, device=features.device, dtype=exact).log2()
    position = (position / position[-1].clamp(min=1)).to(features.dtype)
    return position.view(1, 1, bins, 1).expand(batch, 1, bins, count)


def at_network_precision(features: Tensor) -> Tensor:
    """Return features in the precision that autocast uses for the network's first convolution.

    Converting them early halves the memory traffic of what comes before it. Without autocast, and
    in float64, they do not change.
    """
    device = features.device.type
    if features.dtype == torch.float32 and torch.is_autocast_enabled(device):
        return features.to(torch.get_autocast_dtype(device))
    return features
