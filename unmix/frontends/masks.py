"""Masks, and the multichannel Wiener filter: what makes stems of the mixture's frames.

Pure functions, batched, on any device. The filter is the expectation-maximization of Duong et al.,
"Under-Determined Reverberant Audio Source Separation Using a Full-Rank Spatial Covariance Model"
(IEEE TASLP 2010), from the magnitudes that a network estimates, as in Nugraha et al.,
"Multichannel Audio Source Separation with Deep Neural Networks" (IEEE/ACM TASLP 2016), and Uhlich
et al., "Improving Music Source Separation Based on Deep Neural Networks through Data Augmentation
and Network Blending" (ICASSP 2017).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

MaskExtension = Literal["zeros", "average", "rest"]

# The filter's regularization is a property of the method, not of the arithmetic: float64 has the
# same. A smaller one changes what is heard by up to 1 % of full scale.
_EPSILON = float(torch.finfo(torch.float32).eps)
_REGULARIZATION = _EPSILON**0.5
# Magnitudes are brought down to this largest value before filtering, and never up: the
# regularization then means the same to a loud recording as to a moderate one.
_LOUDEST = 10.0


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
        floor: added to the sum, in equal parts to the stems: where there is no sound, they share
            alike instead of in the proportions of noise.

    Returns:
        Masks ``[B, S, C, F, T]`` in [0, 1] that sum to one over S.
    """
    powers = magnitudes**exponent
    return (powers + floor / magnitudes.shape[1]) / (powers.sum(1, keepdim=True) + floor)


def extend_mask(mask: Tensor, bins: int, extension: MaskExtension, rest: int = -1) -> Tensor:
    """Return masks of all bins from those of the lower ones.

    Args:
        mask: ``[B, S, C, F', T]``, of the bins from 0 Hz.
        bins: F, at least F'.
        extension: of the bins above, ``zeros`` gives nothing to any stem, ``average`` to each the
            mean of its mask over the bins below, in that frame, and ``rest`` all to one stem: masks
            that sum to one do so in all bins.
        rest: position of that one stem on axis S.

    Returns:
        Masks ``[B, S, C, F, T]``.
    """
    missing = bins - mask.shape[3]
    if extension == "average":
        above = mask.mean(3, keepdim=True).expand(-1, -1, -1, missing, -1)
        return torch.cat([mask, above], 3)
    extended = F.pad(mask, (0, 0, 0, missing))
    if extension == "rest" and missing:
        extended[:, rest, :, -missing:] = 1
    return extended


def wiener_filter(frames: Tensor, magnitudes: Tensor, iterations: int = 1) -> Tensor:
    """Return the stems' frames by the multichannel Wiener filter.

    Every stem is taken for a Gaussian whose power varies over time and frequency, and whose spatial
    covariance over frequency only: a filter from all channels to all. Both are estimated from the
    stems' own frames, the first time from the mixture's, shared out by the ratio of magnitudes.

    Args:
        frames: of the mixture, complex ``[B, C, F, T]``.
        magnitudes: of everything in the mixture, non-negative ``[B, S, C, F, T]``. Only their
            ratios count.
        iterations: of expectation-maximization; with 0 the ratios themselves are the masks.

    Returns:
        Complex ``[B, S, C, F, T]``, which sums to the mixture but for the regularization: bins that
        are next to silence lose a little.
    """
    level = (frames.abs().amax((1, 2, 3), keepdim=True) / _LOUDEST).clamp(min=1)
    mixture = frames / level
    magnitudes = magnitudes.to(frames.real.dtype)
    ratios = magnitudes / (magnitudes.sum(1, keepdim=True) + _EPSILON)
    estimates = mixture.unsqueeze(1) * ratios
    for _ in range(iterations):
        estimates = multichannel_filter(mixture, estimates)
    return estimates * level.unsqueeze(1)


def multichannel_filter(
    mixture: Tensor, estimates: Tensor, regularization: float = _REGULARIZATION
) -> Tensor:
    """Return stems by the one multichannel Wiener filter that estimates of them make.

    Every stem has the power of its estimate, averaged over channels, in every bin and frame, and
    one spatial covariance for every bin, averaged over frames. Of the true stems it is the oracle.

    Args:
        mixture: frames, complex ``[B, C, F, T]``.
        estimates: of everything in the mixture, complex ``[B, S, C, F, T]``.
        regularization: a power, added to the mixture's on every channel, so that silence can be
            filtered.

    Returns:
        Complex ``[B, S, C, F, T]``.
    """
    power = (estimates.real.square() + estimates.imag.square()).mean(2)  # [B, S, F, T]
    covariance = torch.einsum("bscft,bsdft->bscdf", estimates, estimates.conj())
    covariance = covariance / (power.sum(-1) + _EPSILON)[:, :, None, None]
    of_mixture = torch.einsum("bsft,bscdf->bcdft", power.to(mixture.dtype), covariance)
    # One vector for all stems: no stem needs a matrix for every bin and frame of its own.
    whitened = _solve(of_mixture, mixture, regularization)
    return power.unsqueeze(2) * torch.einsum("bscdf,bdft->bscft", covariance, whitened)


def _solve(matrix: Tensor, vector: Tensor, regularization: float) -> Tensor:
    """Return ``(matrix + regularization)^-1 vector``, ``[B, C, F, T]``, by elimination.

    Args:
        matrix: Hermitian, non-negative, ``[B, C, C, F, T]``.
        vector: ``[B, C, F, T]``.
        regularization: added to the diagonal of the matrix.
    """
    # Mono in two channels makes a matrix of one rank, and of its determinant in float32 noise: the
    # result is wrong by half a percent. The pivots of elimination are known not to fall below the
    # regularization, and its errors stay below a millionth.
    rows = [list(row.unbind(1)) for row in matrix.unbind(1)]
    right = list(vector.unbind(1))
    channels = range(len(right))
    pivots: list[Tensor] = []
    for c in channels:
        pivots.append((rows[c][c].real + regularization).clamp(min=regularization))
        for below in channels[c + 1 :]:
            factor = rows[below][c] / pivots[c]
            right[below] = right[below] - factor * right[c]
            for d in channels[c + 1 :]:
                rows[below][d] = rows[below][d] - factor * rows[c][d]
    for c in reversed(channels):
        for d in channels[c + 1 :]:
            right[c] = right[c] - rows[c][d] * right[d]
        right[c] = right[c] / pivots[c]
    return torch.stack(right, 1)
