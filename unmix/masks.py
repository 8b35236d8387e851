"""Masks: what multiplies the mixture's frames. Pure functions."""

from __future__ import annotations

from torch import Tensor


def apply_mask(frames: Tensor, mask: Tensor) -> Tensor:
    """Return the masked frames of every stem.

    Args:
        frames: of the mixture, complex ``[B, C, F, T]``.
        mask: real in [0, 1] or complex, ``[B, S, C, F, T]``.

    Returns:
        Complex ``[B, S, C, F, T]``, at the precision of the frames: a mask of lower precision (from
        autocast) is widened first, so that the frames lose nothing.
    """
    mask = mask if mask.is_complex() else mask.to(frames.real.dtype)
    return frames.unsqueeze(1) * mask


def ratio_mask(magnitudes: Tensor, exponent: float = 1.0, floor: float = 1e-10) -> Tensor:
    """Return each stem's share of the sum: the ideal ratio mask when given the true magnitudes.

    Args:
        magnitudes: non-negative ``[B, S, C, F, T]``.
        exponent: 1 for magnitudes, 2 for powers (the Wiener filter of one channel).
        floor: where the sum is below, every mask goes to zero instead of to noise.

    Returns:
        Masks ``[B, S, C, F, T]`` in [0, 1] that sum to one over S wherever there is sound.
    """
    powers = magnitudes**exponent
    return powers / (powers.sum(1, keepdim=True) + floor)
