"""Spectrograms of several sounds on one scale of colours and frequencies, to compare by eye.

A picture holds only the pixels; the page adds axes and labels.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from ..._types import Samples
from ...frontends import STFT

FLOOR = -80.0
"""dB relative to the loudest point of all pictures; below it is black."""
_COLOURS = 32  # steps of 2.6 dB: a smooth gradient in a third of the bytes that 256 take
_COLUMNS = 900
_ROWS = 250
_WINDOW = 0.09  # seconds, about: long enough to resolve the partials of a voice
_LOWEST = 30.0  # Hz, below the lowest note of a bass


def frequency_range(sample_rate: int) -> tuple[float, float]:
    """Return the lowest and the highest frequency in Hz of a picture, whose axis is logarithmic."""
    return min(_LOWEST, sample_rate / 64), sample_rate / 2


def palette() -> NDArray[np.uint8]:
    """Return the colours ``[n, 3]`` from the floor to the loudest."""
    colours: NDArray[np.float64] = colormaps["magma"](np.linspace(0, 1, _COLOURS))[:, :3]
    return (255 * colours).round().astype(np.uint8)


def spectrograms(sounds: Mapping[str, Samples], sample_rate: int) -> dict[str, bytes]:
    """Return a PNG of the mean power of the channels of every sound: brighter is louder.

    Args:
        sounds: ``[C, N]`` by name, all of one length.
        sample_rate: Hz.
    """
    powers = {name: _power(samples, sample_rate) for name, samples in sounds.items()}
    peak = max(float(power.max()) for power in powers.values())
    return {name: _png(power, peak) for name, power in powers.items()}


def _power(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Return power ``[rows, T]``, from low to high."""
    n_fft = max(32, 2 ** round(math.log2(_WINDOW * sample_rate)))
    hop_length = min(max(1, math.ceil(samples.shape[-1] / (_COLUMNS - 1))), n_fft // 2)
    # Reflect at the ends: zeros beside the cut would look like a click.
    stft = STFT(n_fft, hop_length, "reflect")
    frames = stft(torch.from_numpy(np.ascontiguousarray(samples)))
    # Mean power, so that channels out of phase do not cancel.
    power = frames.abs().double().square().mean(0).numpy()
    rows: NDArray[np.float64] = _weights(stft.frequencies(sample_rate).numpy(), sample_rate) @ power
    return rows


def _weights(bins: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Return the weight of each bin in each row ``[rows, F]``.

    Triangles around a row's frequency average where a row is wider than a bin, and interpolate
    where it is narrower.
    """
    rows = np.geomspace(*frequency_range(sample_rate), _ROWS)
    width = np.maximum(rows * (rows[1] / rows[0] - 1), bins[1] - bins[0])
    triangles = np.maximum(0, 1 - np.abs(bins[None] - rows[:, None]) / width[:, None])
    weights: NDArray[np.float64] = triangles / triangles.sum(1, keepdims=True)
    return weights


def _png(power: NDArray[np.float64], peak: float) -> bytes:
    level = 10 * np.log10(np.maximum(power / (peak or 1.0), 1e-30))  # silence is black
    indices = np.rint(np.clip(1 - level / FLOOR, 0, 1) * (_COLOURS - 1)).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(indices[::-1]))
    image.putpalette(palette().tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
