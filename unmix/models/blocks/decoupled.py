"""Magnitude and phase of an estimate, each corrected by maps of its own.

Kong et al., "Decoupling Magnitude and Phase Estimation with Deep ResUNet for Music Source
Separation" (ISMIR 2021): a mask in [0, 1] cannot undo what other stems have cancelled, nor turn a
phase. Four maps say what to do with each bin of the mixture: scale its magnitude, turn its phase by
the angle of a pair, add to the magnitude.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Maps for every bin: the mask, the two of the turn, and what is added.
MAPS = 4
# Magnitudes below this are taken for it, so that silence has no phase, instead of an arbitrary one.
_QUIETEST = 1e-5
# The same for the pair that turns the phase.
_SHORTEST = 1e-10


def floored_magnitude(frames: Tensor) -> Tensor:
    """Return the magnitudes of complex frames, 1e-5 at the least."""
    power = frames.real.square() + frames.imag.square()
    return power.clamp(min=_QUIETEST**2).sqrt()


def decoupled_frames(frames: Tensor, maps: Tensor, bounded: bool) -> Tensor:
    """Return complex frames ``[B, S, C, F, T]`` of the stems.

    Args:
        frames: of the mixture, complex ``[B, C, F, T]``.
        maps: ``[B, S, C, MAPS, F, T]``, as a convolution leaves them: any real number.
        bounded: whether what is added to a magnitude stays within [-1, 1].
    """
    mask, real, imaginary, added = maps.to(frames.real.dtype).unbind(3)
    magnitude = floored_magnitude(frames)
    phase = (frames / magnitude).unsqueeze(1)
    turn = torch.complex(real.tanh(), imaginary.tanh())
    # Clamped under the root, whose gradient at zero would be infinite.
    length = (turn.real.square() + turn.imag.square()).clamp(min=_SHORTEST**2).sqrt()
    scaled = magnitude.unsqueeze(1) * mask.sigmoid()
    level = (scaled + (added.tanh() if bounded else added)).relu()
    return level * phase * (turn / length)
