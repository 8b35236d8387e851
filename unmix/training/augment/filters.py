"""Equaliser and band limit: gains over frequency, without delay, by way of one transform."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .chance import Chance
from .config import BandConfig, LevelConfig

# Hz of the knots of the equaliser's curve; from one to the next its gain in dB is a line.
_KNOTS = (63, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)
# Seconds of silence around a signal, so that a filter's ringing does not come back at the other
# end; the response of the lowest knots is no longer.
_MARGIN = 0.05
# Width of the slope below which nothing is left, as a share of the cutoff.
_SLOPE = 0.1
#: Gains of frequencies in Hz, ``[..., F]`` of ``[F]``.
Curve = Callable[[Tensor], Tensor]
#: Lengths of transforms are multiples of this, which are fast everywhere.
STRIDE = 4096


def equalise(samples: Tensor, config: LevelConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return stems ``[K, S, C, N]``, each under a smooth curve of gains of its own."""
    decibels = chance.uniform(config.decibels, *samples.shape[:2], 1, len(_KNOTS))

    def curve(frequencies: Tensor) -> Tensor:
        octaves = (frequencies.clamp(min=1) / _KNOTS[0]).log2().clamp(0, len(_KNOTS) - 1)
        lower = octaves.long().clamp(max=len(_KNOTS) - 2)
        between = decibels[..., lower].lerp(decibels[..., lower + 1], octaves - lower)
        return torch.pow(10, between / 20)

    return filtered(samples, curve, sample_rate)


def limit_band(samples: Tensor, config: BandConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return items ``[K, S, C, N]`` without what is above a frequency, all stems alike."""
    cutoff = chance.ratio(config.cutoff, len(samples), 1, 1, 1)
    return filtered(samples, lambda frequencies: low_pass_gains(frequencies, cutoff), sample_rate)


def low_pass_gains(frequencies: Tensor, cutoff: Tensor) -> Tensor:
    """Return gains that are 1 up to a cutoff, and 0 from a little above it."""
    beyond = ((frequencies / cutoff - 1) / _SLOPE).clamp(0, 1)
    return 0.5 + 0.5 * torch.cos(torch.pi * beyond)


def filtered(samples: Tensor, curve: Curve, sample_rate: int) -> Tensor:
    """Return samples ``[..., N]`` whose frequencies have the gains of a curve."""
    length, margin = samples.shape[-1], round(_MARGIN * sample_rate)
    size = fast(length + 2 * margin)
    padded = F.pad(samples, (margin, size - length - margin))
    frequencies = torch.fft.rfftfreq(size, 1 / sample_rate, device=samples.device)
    shaped: Tensor = torch.fft.irfft(torch.fft.rfft(padded) * curve(frequencies), size)
    return shaped[..., margin : margin + length]


def fast(length: int) -> int:
    """Return the length of a transform that has room for ``length`` samples."""
    return -(-length // STRIDE) * STRIDE
