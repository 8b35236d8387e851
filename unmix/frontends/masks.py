"""Masks and the multichannel Wiener filter: the mixture's frames to those of the stems.

The filter is the expectation-maximization of Duong et al.,
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

# The same regularization for float32 and float64: a smaller one changes the estimates by up to 1 %
# of full scale.
_EPSILON = float(torch.finfo(torch.float32).eps)
_REGULARIZATION = _EPSILON**0.5
# Louder mixtures are scaled down to this largest magnitude before filtering, so that the
# regularization acts alike on loud and moderate recordings.
_LOUDEST = 10.0


def apply_mask(frames: Tensor, mask: Tensor) -> Tensor:
    """Return the masked frames of every stem.

    Args:
        frames: of the mixture, complex ``[B, C, F, T]``.
        mask: real in [0, 1] or complex, ``[B, S, C, F, T]``.

    Returns:
        Complex ``[B, S, C, F, T]``, in the precision of the frames, even for a mask of lower
        precision from autocast.
    """
    mask = mask if mask.is_complex() else mask.to(frames.real.dtype)
    return frames.unsqueeze(1) * mask


def ratio_mask(magnitudes: Tensor, exponent: float = 1.0, floor: float = 1e-10) -> Tensor:
    """Return each stem's share of the sum of magnitudes; of true magnitudes, the ideal ratio mask.

    Args:
        magnitudes: non-negative ``[B, S, C, F, T]``.
        exponent: 1 for magnitudes, 2 for powers (the Wiener filter of one channel).
        floor: added to the sum, in equal parts to the stems, so that they share silence equally.

    Returns:
        Masks ``[B, S, C, F, T]`` in [0, 1] that sum to one over S.
    """
    powers = magnitudes**exponent
    return (powers + floor / magnitudes.shape[1]) / (powers.sum(1, keepdim=True) + floor)


def extend_mask(mask: Tensor, bins: int, extension: MaskExtension, rest: int = -1) -> Tensor:
    """Extend masks of the lower bins to all bins.

    Args:
        mask: ``[B, S, C, F', T]``, of the bins from 0 Hz.
        bins: F, at least F'.
        extension: the mask of the bins above. ``zeros``: no stem gets them. ``average``: each stem
            gets the mean of its mask over the bins below, frame by frame. ``rest``: one stem gets
            all of them. With the last two, masks that sum to one do so in all bins.
        rest: position on axis S of the stem that gets the bins above with ``rest``.

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

    Every stem is modelled as a Gaussian whose power varies over time and frequency, and whose
    spatial covariance between channels varies over frequency. Both are estimated from the stems'
    frames; the first iteration uses the mixture, masked by the ratio of magnitudes.

    Args:
        frames: of the mixture, complex ``[B, C, F, T]``.
        magnitudes: of all sources in the mixture, non-negative ``[B, S, C, F, T]``. Only their
            ratios matter.
        iterations: of expectation-maximization; with 0 the ratios are used as masks.

    Returns:
        Complex ``[B, S, C, F, T]``. The stems sum to the mixture except for the regularization,
        which attenuates bins close to silence a little.
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
    """Apply the multichannel Wiener filter that follows from estimates of the stems.

    The power of a stem is that of its estimate, averaged over channels; its spatial covariance is
    averaged over frames. With the true stems as estimates, the filter is the oracle.

    Args:
        mixture: frames, complex ``[B, C, F, T]``.
        estimates: of all sources in the mixture, complex ``[B, S, C, F, T]``.
        regularization: power added to every channel of the mixture, so that silence can be
            filtered.

    Returns:
        Complex ``[B, S, C, F, T]``.
    """
    power = (estimates.real.square() + estimates.imag.square()).mean(2)  # [B, S, F, T]
    covariance = torch.einsum("bscft,bsdft->bscdf", estimates, estimates.conj())
    covariance = covariance / (power.sum(-1) + _EPSILON)[:, :, None, None]
    of_mixture = torch.einsum("bsft,bscdf->bcdft", power.to(mixture.dtype), covariance)
    # Solve once for the mixture: no matrix per stem, bin and frame is needed.
    whitened = _solve(of_mixture, mixture, regularization)
    return power.unsqueeze(2) * torch.einsum("bscdf,bdft->bscft", covariance, whitened)


def _solve(matrix: Tensor, vector: Tensor, regularization: float) -> Tensor:
    """Return ``(matrix + regularization)^-1 vector``, ``[B, C, F, T]``, by elimination.

    Args:
        matrix: Hermitian, non-negative, ``[B, C, C, F, T]``.
        vector: ``[B, C, F, T]``.
        regularization: added to the diagonal of the matrix.
    """
    # Mono in two channels makes a matrix of rank one, whose determinant in float32 is noise: the
    # closed form is wrong by half a percent. The pivots of elimination cannot be below the
    # regularization, so they are clamped to it, and errors stay below a millionth.
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
