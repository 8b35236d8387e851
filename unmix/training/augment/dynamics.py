"""Compression, saturation and limiting."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .chance import Chance
from .config import CompressionConfig, LimiterConfig, SaturationConfig
from .gain import LEAST, level, match_level

# Seconds of a block; gains are computed per block and interpolated linearly.
_BLOCK = 0.001
# Time constant of the compressor's level measurement in seconds.
_MEMORY = 0.05
# Width of the compressor's knee in dB.
_KNEE = 3.0
# Largest gain before the limiter, 30 dB, so that near silence does not become loud.
_MAX_GAIN = 31.6
# Seconds before and after a peak over which the limiter's gain moves.
_LOOKAHEAD = 0.02


def compress(
    samples: Tensor, config: CompressionConfig, sample_rate: int, chance: Chance
) -> Tensor:
    """Return vocals ``[K, S, C, N]`` with a reduced dynamic range, at their old level."""
    shape = (*samples.shape[:2], 1, 1)
    threshold = chance.uniform(config.threshold, *shape)
    ratio = chance.ratio(config.ratio, *shape)
    block = max(1, round(_BLOCK * sample_rate))
    power = blocks(samples.square().mean(2, keepdim=True), block).mean(-1)
    above = _decibels(_smoothed(power, _MEMORY * sample_rate / block))
    above = above - _decibels(level(samples).square()) - threshold
    reduction = (1 - 1 / ratio) * _KNEE * F.softplus(above / _KNEE)
    gain = lines(10 ** (-reduction / 20), block, samples.shape[-1])
    return match_level(samples * gain, samples)


def saturate(samples: Tensor, config: SaturationConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return stems ``[K, S, C, N]`` distorted by ``tanh``, at their old level."""
    drive = chance.gain(config.drive, *samples.shape[:2], 1, 1)
    bent = torch.tanh(samples * (drive / level(samples).clamp(min=LEAST)))
    return match_level(bent, samples)


def limit(samples: Tensor, config: LimiterConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return items ``[K, S, C, N]`` whose mixture is loud but never exceeds full scale.

    All stems get the gain of the mixture, so that they still sum to it.
    """
    mixture = samples.sum(1, keepdim=True)
    wanted = chance.gain(config.loudness, len(samples), 1, 1, 1)
    loud = (wanted / level(mixture).clamp(min=LEAST)).clamp(max=_MAX_GAIN)
    block = max(1, round(_BLOCK * sample_rate))
    peaks = blocks((mixture * loud).abs().amax(2, keepdim=True), block).amax(-1)
    allowed = 1 / peaks.clamp(min=1)
    # The minimum over a neighbourhood, averaged over one that is a block narrower: the averages of
    # a block and its neighbours never exceed the block's own limit.
    reach = max(1, round(_LOOKAHEAD * sample_rate / block))
    rows = allowed.flatten(0, 2)[:, None]
    least = -F.max_pool1d(
        F.pad(-rows, (reach + 1, reach + 1), mode="constant", value=-1.0), 2 * reach + 3, 1
    )
    smooth = F.avg_pool1d(F.pad(least, (reach, reach), mode="replicate"), 2 * reach + 1, 1)
    gain = lines(smooth.reshape(allowed.shape), block, samples.shape[-1])
    return samples * (loud * gain)


def blocks(samples: Tensor, block: int) -> Tensor:
    """Return samples ``[..., N]`` cut into blocks ``[..., blocks, block]``.

    The last block is padded with the last sample.
    """
    missing = -samples.shape[-1] % block
    last = samples[..., -1:].expand(*samples.shape[:-1], missing)
    cut: Tensor = torch.cat([samples, last], -1).unflatten(-1, (-1, block))
    return cut


def lines(values: Tensor, block: int, length: int) -> Tensor:
    """Return ``[..., length]`` samples, interpolated between values of blocks ``[..., blocks]``."""
    centres = F.interpolate(
        values.flatten(0, -2)[:, None], scale_factor=block, mode="linear", align_corners=False
    )
    return centres.reshape(*values.shape[:-1], -1)[..., :length]


def _smoothed(power: Tensor, memory: float) -> Tensor:
    """Return the exponentially weighted mean of past powers ``[..., blocks]``."""
    count = max(1, math.ceil(5 * memory))
    weights = torch.exp(-torch.arange(count, device=power.device) / max(memory, 1e-3)).flip(0)
    rows = power.flatten(0, -2)[:, None]
    # As if the first value had lasted forever.
    padded = F.pad(rows, (count - 1, 0), mode="replicate")
    return F.conv1d(padded, (weights / weights.sum())[None, None]).reshape(power.shape)


def _decibels(power: Tensor) -> Tensor:
    return 10 * power.clamp(min=LEAST**2).log10()
