"""museval's filters, rounding for rounding, for signals where rounding errors decide them.

Stems decoded from a lossy format to floating point hold nothing above the band of the codec but
rounding errors. The equations for the distortion filters are then singular in double precision, and
museval's ISR, SIR and SAR follow from rounding errors: they move by tenths of a decibel when every
file is made three times louder. Only the same steps give the same figures: the same transforms of
the whole signal, the same matrix, and the same routine of LAPACK.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._filters import Filters

Floats = NDArray[np.float64]
Spectra = NDArray[np.complex128]
# Numbers in transforms computed together: some hundred megabytes at most.
_TOGETHER = 1 << 22


def museval_filters(signals: Tensor, taps: int, *, permute: bool) -> Filters:
    """Return museval's filters of ``[2, S, C, N]``, estimates and references."""
    estimates, references = signals.cpu().double().numpy()
    stems, each, length = references.shape
    size = int(2 ** np.ceil(np.log2(length + taps - 1.0)))
    here = _transform(references.reshape(-1, length), size)
    gram = _matrix(here, taps)  # [P, taps, P, taps]
    cross = np.stack(
        [_products(here, _transform(estimate, size), taps) for estimate in estimates], 2
    )  # [P, taps, S, C]
    every = _solve(gram, cross)
    own = []
    for stem in range(stems):
        rows = slice(stem * each, (stem + 1) * each)
        theirs = cross[rows] if permute else cross[rows, :, stem, None]
        own.append(_solve(gram[rows, :, rows], theirs))  # [C, taps, K, C]
    return Filters(
        own=torch.from_numpy(np.stack(own)).permute(0, 3, 1, 4, 2)[None],
        every=torch.from_numpy(every).permute(0, 2, 3, 1)[None],
        condition=torch.tensor([torch.inf], dtype=torch.float64),
    )


def _transform(samples: Floats, size: int) -> Spectra:
    found: Spectra = scipy.fft.fft(samples, size, workers=torch.get_num_threads())
    return found


def _lags(spectra: Spectra) -> Floats:
    # The full transform: that of real signals rounds differently.
    found: Floats = scipy.fft.ifft(spectra, workers=torch.get_num_threads()).real
    return found


def _matrix(here: Spectra, taps: int) -> Floats:
    signals, size = here.shape
    both = np.empty((signals, signals, 2 * taps - 1))  # from lag 1 - taps on
    pairs = [(i, j) for i in range(signals) for j in range(i, signals)]
    step = max(1, _TOGETHER // size)
    for first in range(0, len(pairs), step):
        part = pairs[first : first + step]
        lags = _lags(np.stack([here[j] * np.conj(here[i]) for i, j in part]))
        for (i, j), lag in zip(part, lags, strict=True):
            ahead = np.concatenate([lag[size - taps + 1 :], lag[:taps]])
            both[j, i] = ahead[::-1]
            both[i, j] = ahead  # last, for where i is j
    rows = np.lib.stride_tricks.sliding_window_view(both[..., ::-1], taps, axis=-1)
    return rows[..., ::-1, :].transpose(0, 2, 1, 3)


def _products(here: Spectra, estimate: Spectra, taps: int) -> Floats:
    """Return the inner products ``[P, taps, C]`` of delayed references with an estimate."""
    size = here.shape[-1]
    found = np.empty((len(here), taps, len(estimate)))
    for channel, ahead in enumerate(estimate):
        for first in range(0, len(here), max(1, _TOGETHER // size)):
            rows = slice(first, first + max(1, _TOGETHER // size))
            # Row by row, with a new conjugate each time: NumPy multiplies into the temporary, and
            # the order of factors changes the last bit.
            lags = _lags(np.stack([row * np.conj(ahead) for row in here[rows]]))
            found[rows, 0, channel] = lags[:, 0]
            found[rows, 1:, channel] = lags[:, : size - taps : -1]
    return found


def _solve(gram: Floats, cross: Floats) -> Floats:
    signals, taps = gram.shape[:2]
    matrix = np.array(gram).reshape(signals * taps, signals * taps)
    right = cross.reshape(signals * taps, -1)
    lifted = matrix.copy()
    lifted.flat[:: len(matrix) + 1] += np.finfo(float).eps
    try:
        found = np.linalg.solve(lifted, right)
    except np.linalg.LinAlgError:
        found = np.linalg.lstsq(matrix, right, rcond=None)[0]
    return found.reshape(cross.shape).astype(np.float64, copy=False)
