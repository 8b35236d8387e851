"""Signal-to-distortion ratios of whole tracks, in dB."""

from __future__ import annotations

import torch
from torch import Tensor


def sdr(*, estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the SDR over channels and samples, as the Music Demixing Challenge 2021 defines it.

    ``10 log10(sum reference^2 / sum (reference - estimate)^2)``, in float64.

    Args:
        estimate: ``[..., C, N]``.
        reference: ``[..., C, N]``.

    Returns:
        dB ``[...]``: infinite for a perfect estimate, minus infinity for sound against a silent
        reference, NaN if both are silent.
    """
    _check(estimate, reference)
    estimate, reference = estimate.double(), reference.double()
    signal = reference.square().sum((-2, -1))
    error = (reference - estimate).square().sum((-2, -1))
    return 10 * torch.log10(signal / error)


def si_sdr(*, estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the scale-invariant SDR over channels and samples.

    The reference is scaled to fit the estimate best: Le Roux et al., "SDR: half-baked or well
    done?" (ICASSP 2019).

    Args:
        estimate: ``[..., C, N]``.
        reference: ``[..., C, N]``.

    Returns:
        dB ``[...]``; NaN if the reference is silent.
    """
    _check(estimate, reference)
    estimate, reference = estimate.double(), reference.double()
    scale = (estimate * reference).sum((-2, -1), keepdim=True) / reference.square().sum(
        (-2, -1), keepdim=True
    )
    return sdr(estimate=estimate, reference=scale * reference)


def _check(estimate: Tensor, reference: Tensor) -> None:
    if estimate.shape != reference.shape or estimate.ndim < 2:
        raise ValueError(
            "expected estimate and reference of one shape [..., channel, sample], "
            f"got {tuple(estimate.shape)} and {tuple(reference.shape)}"
        )
