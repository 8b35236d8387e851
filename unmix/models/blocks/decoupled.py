"""Separate corrections of magnitude and phase.

Kong et al., "Decoupling Magnitude and Phase Estimation with Deep ResUNet for Music Source
Separation" (ISMIR 2021): a mask in [0, 1] cannot restore what other stems cancel, nor rotate a
phase. Four maps for each bin of the mixture scale its magnitude, rotate its phase by the angle of a
pair of values, and add to the magnitude.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Maps for every bin: the mask, the two of the rotation, and the term added to the magnitude.
MAPS = 4
# Least magnitude to divide by, so that silence gets a phase of zero instead of an arbitrary one.
_QUIETEST = 1e-5
# The same for the pair that rotates the phase.
_SHORTEST = 1e-10


def floored_magnitude(frames: Tensor) -> Tensor:
    """Return the magnitudes of complex frames, at least 1e-5."""
    power = frames.real.square() + frames.imag.square()
    return power.clamp(min=_QUIETEST**2).sqrt()


def decoupled_frames(frames: Tensor, maps: Tensor, bounded: bool) -> Tensor:
    """Return the stems' complex frames ``[B, S, C, F, T]``.

    Args:
        frames: of the mixture, complex ``[B, C, F, T]``.
        maps: real ``[B, S, C, MAPS, F, T]``, unbounded.
        bounded: whether the term added to a magnitude is limited to [-1, 1].
    """
    mask, real, imaginary, added = maps.to(frames.real.dtype).unbind(3)
    magnitude = floored_magnitude(frames)
    phase = (frames / magnitude).unsqueeze(1)
    rotation = torch.complex(real.tanh(), imaginary.tanh())
    # Clamped before the square root, whose gradient at zero is infinite.
    length = (rotation.real.square() + rotation.imag.square()).clamp(min=_SHORTEST**2).sqrt()
    scaled = magnitude.unsqueeze(1) * mask.sigmoid()
    level = (scaled + (added.tanh() if bounded else added)).relu()
    return level * phase * (rotation / length)
