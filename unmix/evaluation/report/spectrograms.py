"""Spectrograms to compare by eye: one scale of colours, one axis of frequencies for several sounds.

A picture is the plain pixels, with as many colours as an eye can tell apart; scales and words
around it are the page's.
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
"""dB under the loudest point of all pictures together; what is softer is black."""
_COLOURS = 32  # steps of 2.6 dB: a gradient to the eye, and a third of the bytes of 256
_COLUMNS = 900
_ROWS = 250
_WINDOW = 0.09  # seconds, about: long enough for the partials of a voice to stand apart
_LOWEST = 30.0  # Hz: below the lowest note of a bass


def frequency_range(sample_rate: int) -> tuple[float, float]:
    """Return the lowest and the highest frequency of a picture, in Hz; between, it is logarithmic.

    Args:
        sample_rate: of the sounds, in Hz.
    """
    return min(_LOWEST, sample_rate / 64), sample_rate / 2


def palette() -> NDArray[np.uint8]:
    """Return the colours ``[n, 3]`` from the floor to the loudest."""
    colours: NDArray[np.float64] = colormaps["magma"](np.linspace(0, 1, _COLOURS))[:, :3]
    return (255 * colours).round().astype(np.uint8)


def spectrograms(sounds: Mapping[str, Samples], sample_rate: int) -> dict[str, bytes]:
    """Return a PNG for every sound: time to the right, frequency upwards, brighter is louder.

    Args:
        sounds: ``[C, N]`` by name, all of one length; channels are drawn as their mean power.
        sample_rate: of all of them, in Hz.
    """
    powers = {name: _power(samples, sample_rate) for name, samples in sounds.items()}
    peak = max(float(power.max()) for power in powers.values())
    return {name: _png(power, peak) for name, power in powers.items()}


def _power(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Return power ``[F, T]`` over the picture's rows from low to high."""
    n_fft = max(32, 2 ** round(math.log2(_WINDOW * sample_rate)))
    hop_length = min(max(1, math.ceil(samples.shape[-1] / (_COLUMNS - 1))), n_fft // 2)
    # Mirrored at its ends: where an excerpt was cut, zeros beside it would look like a click.
    stft = STFT(n_fft, hop_length, "reflect")
    frames = stft(torch.from_numpy(np.ascontiguousarray(samples)))
    # The mean power of the channels: out of phase, they do not cancel.
    power = frames.abs().double().square().mean(0).numpy()
    rows: NDArray[np.float64] = _weights(stft.frequencies(sample_rate).numpy(), sample_rate) @ power
    return rows


def _weights(bins: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Return how much each bin is in each row ``[rows, F]``.

    Triangles around a row's frequency: they average where a row is wider than a bin, and
    interpolate where bins are wider than a row.
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
