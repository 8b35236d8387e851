"""Oracles: masks and filters computed from the true stems.

Hardly any method that masks the mixture's frames and keeps their phase does better. They are the
ceilings of Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign" (LVA/ICA
2018), with its transform: Hann windows of 2048 samples at 44.1 kHz that overlap by half. At other
sample rates, a window is the power of two that lasts about as long.

A mixture need not be the sum of the references: it may be mastered or coded, or stems may be left
out. The residual, the mixture minus all references, is therefore one more source. It takes no more
of a bin than its own magnitude, so that rounding errors change nothing louder than themselves. The
accompaniment may come with instruments that are part of it: then only the accompaniment without
them is a source, and the estimate of the accompaniment is the sum of that source's and theirs.

All take a mixture ``[C, N]``, references ``[C, N]`` by stem, and Hz; they return estimates
``[C, N]`` of the stems.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..._types import Samples
from ...frontends import STFT
from ...frontends.masks import apply_mask, multichannel_filter, ratio_mask
from ...stems import ACCOMPANIMENT, VOCALS

_N_FFT = 2048
# Bins that are filtered at once, to bound the memory; bins are independent.
_AT_ONCE = 128
# In float64, relative to the loudest frame of a bin: 100 dB below it, the filter is inexact.
_REGULARIZATION = 1e-10
_SOFTEST = 1e-30


def transform(n_fft: int, overlap: int, sample_rate: int) -> STFT:
    """Return an STFT whose windows last about as long as ``n_fft`` samples at 44.1 kHz.

    Args:
        n_fft: samples at 44.1 kHz; at other rates the nearest power of two.
        overlap: number of windows that cover a sample.
        sample_rate: Hz.
    """
    length = 2 ** max(3, round(math.log2(n_fft * sample_rate / 44100)))
    return STFT(length, length // overlap)


def ideal_ratio_mask(
    mixture: Samples, references: Mapping[str, Samples], sample_rate: int
) -> dict[str, Samples]:
    """Divide the mixture by the ratio of the true magnitudes: SiSEC's IRM1.

    Each channel has its own masks, in [0, 1], which sum to one over all sources.
    """
    stft = transform(_N_FFT, 2, sample_rate)
    sources = _sources(mixture, references)
    magnitudes = stft(torch.stack([*sources.values()])).abs()
    frames = stft(torch.from_numpy(mixture))
    masked = apply_mask(frames[None], ratio_mask(magnitudes[None]))[0]
    return _estimates(sources, stft.inverse(masked, mixture.shape[1]), references)


def ideal_binary_mask(
    mixture: Samples, references: Mapping[str, Samples], sample_rate: int
) -> dict[str, Samples]:
    """Give a stem the bins where its magnitude is at least half of the mixture's: SiSEC's IBM1.

    Each channel has its own mask. A bin may belong to several stems, where they cancel each other,
    or to none: estimates do not quite sum to the mixture.
    """
    stft = transform(_N_FFT, 2, sample_rate)
    frames = stft(torch.from_numpy(mixture))
    estimates = {}
    for stem, reference in references.items():
        mask = stft(torch.from_numpy(reference)).abs() >= 0.5 * frames.abs()
        estimates[stem] = stft.inverse(frames * mask, mixture.shape[1]).numpy()
    return estimates


def multichannel_wiener_filter(
    mixture: Samples, references: Mapping[str, Samples], sample_rate: int
) -> dict[str, Samples]:
    """Filter the mixture across channels by true powers and covariances: SiSEC's MWF.

    The local Gaussian model of Duong et al. (IEEE TASLP 2010): every source has a power in each bin
    and frame, the mean over channels, and a spatial covariance in each bin, the mean over the
    frames of a piece. For one channel it is the ratio mask of powers, SiSEC's IRM2. See
    ``unmix.frontends.masks.multichannel_filter``.
    """
    stft = transform(_N_FFT, 2, sample_rate)
    sources = _sources(mixture, references)
    frames = stft(torch.from_numpy(mixture))
    true = stft(torch.stack([*sources.values()]))
    bins = zip(frames.split(_AT_ONCE, -2), true.split(_AT_ONCE, -2), strict=True)
    filtered = torch.cat([_filtered(*some) for some in bins], -2)
    return _estimates(sources, stft.inverse(filtered, mixture.shape[1]), references)


def _filtered(frames: Tensor, true: Tensor) -> Tensor:
    """Return sources ``[S, C, F, T]`` filtered from frames ``[C, F, T]``."""
    # Normalise each bin: high frequencies may be 100 dB softer than low ones.
    level = true.abs().amax((0, 1, 3)).clamp(min=_SOFTEST)[:, None].double()
    filtered = multichannel_filter(frames[None] / level, true[None] / level, _REGULARIZATION)
    return (filtered[0] * level).to(frames.dtype)


def _sources(mixture: Samples, references: Mapping[str, Samples]) -> dict[str, Tensor]:
    """Return sources ``[C, N]`` by stem that sum to the mixture; the residual has an empty name."""
    sources = {stem: torch.from_numpy(samples) for stem, samples in references.items()}
    if ACCOMPANIMENT in sources:
        parts = [sources[stem] for stem in sources if stem not in (VOCALS, ACCOMPANIMENT)]
        sources[ACCOMPANIMENT] = sources[ACCOMPANIMENT] - sum(parts, torch.zeros(()))
    return sources | {"": torch.from_numpy(mixture) - sum(sources.values(), torch.zeros(()))}


def _estimates(
    sources: Mapping[str, Tensor], found: Tensor, references: Mapping[str, Samples]
) -> dict[str, Samples]:
    """Return estimates of the references' stems from those of the sources ``[S, C, N]``."""
    estimates = dict(zip(sources, found.unbind(), strict=True))
    if ACCOMPANIMENT in references:
        parts = [estimates[stem] for stem in references if stem != VOCALS]
        estimates[ACCOMPANIMENT] = torch.stack(parts).sum(0)
    return {stem: estimates[stem].numpy() for stem in references}
