"""Metrics of whole tracks, in dB: SDR, SI-SDR and log L1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._blocks import Blocks, Pieces

#: Least magnitude, in dB relative to a sine of full scale; softer ones count as this.
FLOOR = -100.0
_N_FFT = 2048
_HOP_LENGTH = 512
_AT_ONCE = 128


@dataclass(frozen=True)
class TrackScores:
    """Scores of a whole track in dB, ``[S]``."""

    sdr: Tensor
    """See ``unmix.metrics.sdr``."""
    si_sdr: Tensor
    """See ``unmix.metrics.si_sdr``."""
    log_l1: Tensor
    """See ``unmix.metrics.log_l1``; lower is better."""


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


def track_scores(blocks: Blocks, device: torch.device | None = None) -> TrackScores:
    """Return the scores of signals that pass in blocks, in bounded memory.

    Args:
        blocks: starts a pass over estimates and references ``[S, C, n]``, in blocks of any length;
            called three times.
        device: device to compute on; default: that of the blocks.
    """
    power, product, error = _sums(blocks, None, device)
    scale = product / power
    _, _, rest = _sums(blocks, scale, device)
    return TrackScores(
        sdr=10 * torch.log10(power / error),
        si_sdr=10 * torch.log10(scale.square() * power / rest),
        log_l1=_log_l1(blocks, device),
    )


def log_l1(*, estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the mean absolute difference of log magnitudes over bins, frames and channels.

    Hann windows of 2048 samples, every 512; magnitudes below -100 dB of full scale count as that.

    Args:
        estimate: ``[..., C, N]``.
        reference: ``[..., C, N]``.

    Returns:
        dB ``[...]``; 0 for a perfect estimate.
    """
    _check(estimate, reference)
    leading = estimate.shape[:-2]
    pair = tuple(samples.reshape(-1, *estimate.shape[-2:]) for samples in (estimate, reference))
    return _log_l1(lambda: [(pair[0], pair[1])], estimate.device).reshape(leading)


def _check(estimate: Tensor, reference: Tensor) -> None:
    if estimate.shape != reference.shape or estimate.ndim < 2:
        raise ValueError(
            "expected estimate and reference of one shape [..., channel, sample], "
            f"got {tuple(estimate.shape)} and {tuple(reference.shape)}"
        )


def _sums(
    blocks: Blocks, scale: Tensor | None, device: torch.device | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return sums ``[S]`` of reference squared, reference times estimate, and error squared.

    The error is the estimate minus ``scale`` (default: 1) times the reference.
    """
    sums: Tensor | None = None
    for estimates, references in blocks():
        estimate = estimates.to(device, torch.float64)
        reference = references.to(device, torch.float64)
        error = estimate - (reference if scale is None else scale[:, None, None] * reference)
        parts = (reference.square(), reference * estimate, error.square())
        found = torch.stack([part.sum((1, 2)) for part in parts])
        sums = found if sums is None else sums + found
    if sums is None:
        raise ValueError("expected samples, got none")
    power, product, rest = sums
    return power, product, rest


def _log_l1(blocks: Blocks, device: torch.device | None) -> Tensor:
    pieces = Pieces(blocks(), size=_N_FFT, hop=_HOP_LENGTH, at_once=_AT_ONCE, device=device)
    total: Tensor | None = None
    count = 0
    for frames in pieces.filled(0):
        window = torch.hann_window(_N_FFT, dtype=frames.dtype, device=frames.device)
        magnitude = torch.fft.rfft(frames * window).abs() * (2 / window.sum())
        level = 20 * torch.log10(magnitude.clamp_min(10 ** (FLOOR / 20)))
        apart = (level[:, 0] - level[:, 1]).abs()  # [K, S, C, F]
        found = apart.mean((2, 3)).sum(0)
        total = found if total is None else total + found
        count += len(frames)
    assert total is not None
    return total / count
