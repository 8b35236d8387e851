"""Classical separation of singing: HPSS and REPET-SIM.

Both work on the mixture alone, without training. They estimate the vocals, and the accompaniment as
the residual, so that the two sum to the mixture. As in Rafii and Pardo, vocals have nothing below
100 Hz.

Both take a mixture ``[C, N]``, references by stem, of which only the names are used, and Hz; they
return estimates ``[C, N]`` of vocals and accompaniment: those that have references.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from ..._types import Samples
from ...audio.libraries import import_librosa
from ...frontends import STFT
from ...frontends.masks import ratio_mask
from ...stems import ACCOMPANIMENT, VOCALS
from .oracles import transform

#: The stems that they separate.
CLASSICAL_STEMS = (VOCALS, ACCOMPANIMENT)
_LOWEST = 100.0  # Hz

# HPSS: samples of the windows at 44.1 kHz, and bins or frames of a median.
_LONG = 16384
_SHORT = 1024
_MEDIAN = 17
_BINS_AT_ONCE = 256

# REPET-SIM: samples of the window at 44.1 kHz; least distance of frames that are compared; number
# of similar frames, odd, so that their median is one of them.
_N_FFT = 2048
_APART = 1.0  # seconds
_SIMILAR = 51


def harmonic_percussive(
    mixture: Samples, references: Mapping[str, Samples], sample_rate: int
) -> dict[str, Samples]:
    """Separate the vocals by median filtering at two resolutions.

    As in FitzGerald and Gainza, "Single Channel Vocal Separation using Median Filtering and
    Factorisation Techniques" (ISAST Transactions 2010), after Tachibana et al. (ICASSP 2010):
    singing varies in pitch, so it looks percussive under a long window, like the drums, and
    harmonic under a short one, like other instruments. The vocals are the harmonic part, under the
    short window, of the percussive part under the long one. Masks are ratios of the squared medians
    of magnitude over time and over frequency, for each channel alone: FitzGerald,
    "Harmonic/Percussive Separation using Median Filtering" (DAFx 2010).
    """
    samples = torch.from_numpy(mixture)
    wavering = samples - _harmonic(samples, transform(_LONG, 2, sample_rate), 0)
    short = transform(_SHORT, 2, sample_rate)
    lowest = int(torch.searchsorted(short.frequencies(sample_rate), _LOWEST))
    return _stems(mixture, _harmonic(wavering, short, lowest), references)


def repet_sim(
    mixture: Samples, references: Mapping[str, Samples], sample_rate: int
) -> dict[str, Samples]:
    """Separate the vocals as what does not repeat in similar frames.

    Rafii and Pardo, "Music/Voice Separation using the Similarity Matrix" (ISMIR 2012): a frame of
    the accompaniment is the median of the most similar frames, at most the mixture's. Similarity is
    the cosine of mean magnitudes over channels; each channel has its own medians and masks.
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
    """Return the harmonic part of samples ``[C, N]``, from bin ``lowest`` on."""
    frames = stft(samples)
    magnitudes = frames.abs().numpy()
    medians = [torch.from_numpy(_medians(magnitudes, axis)) for axis in (2, 1)]
    mask = ratio_mask(torch.stack(medians)[None], 2.0)[0, 0]
    mask[:, :lowest] = 0
    return stft.inverse(frames * mask, samples.shape[1])


def _medians(magnitudes: Samples, axis: int) -> Samples:
    """Return the median around every element of ``[C, F, T]`` along an axis, reflected at its ends.

    The result is that of SciPy's ``median_filter``, to the bit, in a quarter of the time.
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

    Fewer than five frames are too few to compare: all count as repeated.
    """
    frames = magnitudes.shape[2]
    apart = min(apart, (frames - 1) // 2 - 1)
    if apart < 1:
        return magnitudes
    librosa = import_librosa()
    similar = librosa.segment.recurrence_matrix(
        magnitudes.mean(0), k=_SIMILAR, width=apart, metric="cosine", sparse=True
    )
    in_time = np.ascontiguousarray(magnitudes.transpose(2, 0, 1))
    medians: Samples = librosa.decompose.nn_filter(in_time, rec=similar, aggregate=_median, axis=0)
    return np.ascontiguousarray(medians.transpose(1, 2, 0))


def _median(frames: Samples, axis: int) -> Samples:
    """Return the (upper) median, in a quarter of NumPy's time."""
    middle = frames.shape[axis] // 2
    median: Samples = np.partition(frames, middle, axis).take(middle, axis)
    return median


def _stems(
    mixture: Samples, vocals: Tensor, references: Mapping[str, Samples]
) -> dict[str, Samples]:
    """Return vocals and residual: those that have references."""
    estimates = {VOCALS: vocals.numpy(), ACCOMPANIMENT: mixture - vocals.numpy()}
    return {stem: estimates[stem] for stem in references if stem in estimates}
