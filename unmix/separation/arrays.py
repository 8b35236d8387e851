"""What samples in memory may be given as: arrays or tensors of floats or integers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._types import Samples
from ..audio.limits import CHANNELS, RATES
from ..errors import UnmixError

#: Zero and full scale of the integers that sound is kept in.
_INTEGERS = {"uint8": (128, 1 << 7), "int16": (0, 1 << 15), "int32": (0, 1 << 31)}


def as_samples(samples: ArrayLike, dimensions: tuple[int, ...] = (1, 2)) -> Samples:
    """Return samples as float32 ``[C, N]``, full scale 1.

    Args:
        samples: floats in [-1, 1], or integers, of which the full scale becomes 1; an array, or a
            tensor on any device.
        dimensions: how many axes it may have.

    Raises:
        UnmixError: it has another shape or type.
    """
    if isinstance(samples, torch.Tensor):
        samples = _array(samples)
    try:
        array = np.asarray(samples)
    except ValueError as error:  # rows of several lengths
        raise UnmixError(f"expected samples [channel, sample]: {error}") from error
    scale = _INTEGERS.get(array.dtype.name)
    if array.ndim not in dimensions or (array.dtype.kind != "f" and scale is None):
        raise UnmixError(
            "expected samples [channel, sample] of floating point in [-1, 1], or of uint8, int16 "
            f"or int32, got {array.dtype} {array.shape}"
        )
    array = np.atleast_2d(array)
    # Samples in the layout [sample, channel] have more "channels" than anybody hears.
    if not array.shape[0] or array.shape[0] > CHANNELS:
        raise UnmixError(f"expected samples [channel, sample], got {array.shape}; transposed?")
    if scale is not None:
        return ((array.astype(np.float64) - scale[0]) / scale[1]).astype(np.float32)
    return array.astype(np.float32, copy=False)


def check_rate(sample_rate: float) -> None:
    """Refuse what is no sample rate of sound; the resampler would crash on some of it.

    Raises:
        UnmixError: it is no whole number of Hz, or out of range.
    """
    number = isinstance(sample_rate, int | float | np.number) and not isinstance(sample_rate, bool)
    if not number or not RATES[0] <= sample_rate <= RATES[1] or int(sample_rate) != sample_rate:
        raise UnmixError(
            f"the sample rate must be a whole number of Hz from {RATES[0]} to {RATES[1]}, got "
            f"{sample_rate!r}"
        )


def _array(samples: torch.Tensor) -> ArrayLike:
    """Return a tensor of any device, layout and kind of view as an array."""
    try:
        tensor = samples.detach().cpu().to_dense().resolve_neg().resolve_conj()
        found: ArrayLike = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    except (RuntimeError, TypeError) as error:  # such as a tensor without data
        raise UnmixError(f"the samples cannot be read: {error}; give a plain tensor") from error
    return found
