"""Singing separated without learning: as what wavers (HPSS), as what does not repeat (REPET-SIM).

What was done before networks, of the mixture alone. Both find the vocals and leave the rest of the
mixture to the accompaniment, so that the two sum to it; both give no vocals below 100 Hz, where
hardly anybody sings, as Rafii and Pardo do.
"""

from __future__ import annotations

from collections.abc import Mapping

import librosa
import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from ..._types import Samples
from ...frontends import STFT
from ...frontends.masks import ratio_mask
from ...stems import ACCOMPANIMENT, VOCALS
from .oracles import transform

#: The stems that these tell apart.
STEMS = (VOCALS, ACCOMPANIMENT)
_LOWEST = 100.0  # Hz

# HPSS: windows at 44.1 kHz, and bins or frames that a median is taken over.
_LONG = 16384
_SHORT = 1024
_MEDIAN = 17
_BINS_AT_ONCE = 256

# REPET-SIM: the window at 44.1 kHz; frames that are compared with one are at least as far from it;
# the most similar of them make the median, an odd number, so that it is one of them.
_N_FFT = 2048
_APART = 1.0  # seconds
_SIMILAR = 51


def harmonic_percussive(
    mixture: Samples, references: Mapping[str, Samples], sample_rate: int
) -> dict[str, Samples]:
    """Separate the vocals by median filtering at two resolutions.

    As in FitzGerald and Gainza, "Single Channel Vocal Separation using Median Filtering and
    Factorisation Techniques" (ISAST Transactions 2010), after Tachibana et al. (ICASSP 2010):
    singing wavers, so it is percussive under a long window, with the drums, and harmonic under a
    short one, with the other instruments. What is percussive under the long one first, and of that
    what is harmonic under the short one, is taken for the vocals. Each time, the magnitudes'
    medians over time and over frequency share the frames out in the ratio of their squares:
    FitzGerald, "Harmonic/Percussive Separation using Median Filtering" (DAFx 2010). Each channel
    has masks of its own.

    Args:
        mixture: ``[C, N]``.
        references: only their stems count.
        sample_rate: Hz.

    Returns:
        Estimates ``[C, N]`` of the vocals and the accompaniment, as far as there are references.
    """
    samples = torch.from_numpy(mixture)
    wavering = samples - _harmonic(samples, transform(_LONG, 2, sample_rate), 0)
    short = transform(_SHORT, 2, sample_rate)
    lowest = int(torch.searchsorted(short.frequencies(sample_rate), _LOWEST))
    return _stems(mixture, _harmonic(wavering, short, lowest), references)


def repet_sim(
    mixture: Samples, references: Mapping[str, Samples], sample_rate: int
) -> dict[str, Samples]:
    """Separate the vocals as what does not come again in similar frames.

    Rafii and Pardo, "Music/Voice Separation using the Similarity Matrix" (ISMIR 2012): a frame of
    the accompaniment is the median of the frames that are most similar to it, by the cosine of
    their magnitudes, and nowhere above the mixture's. Similarity is that of the mean magnitude of
    all channels; the medians and masks are of each channel by itself.

    Args:
        mixture: ``[C, N]``.
        references: only their stems count.
        sample_rate: Hz.

    Returns:
        Estimates ``[C, N]`` of the vocals and the accompaniment, as far as there are references.
    """
    stft = transform(_N_FFT, 2, sample_rate)
    frames = stft(torch.from_numpy(mixture))
    magnitudes = frames.abs()
    apart = round(_APART * sample_rate / stft.hop_length)
    repeated = torch.from_numpy(_repeated(magnitudes.numpy(), apart))
    vocals = 1 - torch.minimum(repeated, magnitudes) / magnitudes.clamp(min=1e-30)
    vocals[:, stft.frequencies(sample_rate) < _LOWEST] = 0
    return _stems(mixture, stft.inverse(frames * vocals, mixture.shape[1]), references)


def _harmonic(samples: Tensor, stft: STFT, lowest: int) -> Tensor:
    """Return what lasts, of samples ``[C, N]``, from bin ``lowest`` on."""
    frames = stft(samples)
    magnitudes = frames.abs().numpy()
    medians = [torch.from_numpy(_medians(magnitudes, axis)) for axis in (2, 1)]
    mask = ratio_mask(torch.stack(medians)[None], 2.0)[0, 0]
    mask[:, :lowest] = 0
    return stft.inverse(frames * mask, samples.shape[1])


def _medians(magnitudes: Samples, axis: int) -> Samples:
    """Return the median around every element of ``[C, F, T]`` along an axis, mirrored at its ends.

    It is SciPy's ``median_filter``, to every bit, in a quarter of the time.
    """
    around = _MEDIAN // 2
    margins = [(around, around) if along == axis else (0, 0) for along in range(3)]
    windows = sliding_window_view(np.pad(magnitudes, margins, "symmetric"), _MEDIAN, axis)
    medians = np.empty_like(magnitudes)
    for start in range(0, magnitudes.shape[1], _BINS_AT_ONCE):
        some = slice(start, start + _BINS_AT_ONCE)
        medians[:, some] = np.partition(windows[:, some], around, axis=-1)[..., around]
    return medians


def _repeated(magnitudes: Samples, apart: int) -> Samples:
    """Return the median of similar frames for every frame of ``[C, F, T]``.

    A recording of less than five frames is too short to compare any: all of it counts as repeated.
    """
    frames = magnitudes.shape[2]
    apart = min(apart, (frames - 1) // 2 - 1)
    if apart < 1:
        return magnitudes
    similar = librosa.segment.recurrence_matrix(
        magnitudes.mean(0), k=_SIMILAR, width=apart, metric="cosine", sparse=True
    )
    in_time = np.ascontiguousarray(magnitudes.transpose(2, 0, 1))
    medians: Samples = librosa.decompose.nn_filter(in_time, rec=similar, aggregate=_median, axis=0)
    return np.ascontiguousarray(medians.transpose(1, 2, 0))


def _median(frames: Samples, axis: int) -> Samples:
    """Return the median, the upper one where there are two, in a quarter of NumPy's time."""
    middle = frames.shape[axis] // 2
    median: Samples = np.partition(frames, middle, axis).take(middle, axis)
    return median


def _stems(
    mixture: Samples, vocals: Tensor, references: Mapping[str, Samples]
) -> dict[str, Samples]:
    """Return the vocals and the rest of the mixture, as far as there are references."""
    estimates = {VOCALS: vocals.numpy(), ACCOMPANIMENT: mixture - vocals.numpy()}
    return {stem: estimates[stem] for stem in references if stem in estimates}
