"""Equaliser and low-pass filter: zero-phase gains over frequency, by one FFT."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .chance import Chance
from .config import BandConfig, LevelConfig

# Knots of the equaliser curve in Hz; the gain in dB is linear between them.
_KNOTS = (63, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)
# Seconds of silence around a signal, so that a filter's ringing does not wrap around; the response
# of the lowest knots is not longer.
_MARGIN = 0.05
# Width of the transition to zero gain, as a share of the cutoff.
_SLOPE = 0.1
#: Returns gains ``[..., F]`` of frequencies in Hz ``[F]``.
Curve = Callable[[Tensor], Tensor]
#: Lengths of FFTs are multiples of this, which are fast everywhere.
STRIDE = 4096


def equalise(samples: Tensor, config: LevelConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return stems ``[K, S, C, N]``, each with its own smooth equaliser curve."""
    decibels = chance.uniform(config.decibels, *samples.shape[:2], 1, len(_KNOTS))

    def curve(frequencies: Tensor) -> Tensor:
        octaves = (frequencies.clamp(min=1) / _KNOTS[0]).log2().clamp(0, len(_KNOTS) - 1)
        lower = octaves.long().clamp(max=len(_KNOTS) - 2)
        between = decibels[..., lower].lerp(decibels[..., lower + 1], octaves - lower)
        return torch.pow(10, between / 20)

    return filtered(samples, curve, sample_rate)


def limit_band(samples: Tensor, config: BandConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return items ``[K, S, C, N]`` with a low-pass filter, the same for all stems."""
    cutoff = chance.ratio(config.cutoff, len(samples), 1, 1, 1)
    return filtered(samples, lambda frequencies: low_pass_gains(frequencies, cutoff), sample_rate)


def low_pass_gains(frequencies: Tensor, cutoff: Tensor) -> Tensor:
    """Return gains that are 1 up to the cutoff and fall to 0 just above it."""
    beyond = ((frequencies / cutoff - 1) / _SLOPE).clamp(0, 1)
    return 0.5 + 0.5 * torch.cos(torch.pi * beyond)


def filtered(samples: Tensor, curve: Curve, sample_rate: int) -> Tensor:
    """Return samples ``[..., N]`` filtered by a curve of gains."""
    length, margin = samples.shape[-1], round(_MARGIN * sample_rate)
    size = fast(length + 2 * margin)
    padded = F.pad(samples, (margin, size - length - margin))
    frequencies = torch.fft.rfftfreq(size, 1 / sample_rate, device=samples.device)
    shaped: Tensor = torch.fft.irfft(torch.fft.rfft(padded) * curve(frequencies), size)
    return shaped[..., margin : margin + length]


def fast(length: int) -> int:
    """Return an FFT length of at least ``length`` samples that is fast."""
    return -(-length // STRIDE) * STRIDE
