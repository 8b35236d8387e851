"""Compression, saturation and limiting: what follows the loudness of a sound, and bends it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .chance import Chance
from .config import CompressionConfig, LimiterConfig, SaturationConfig
from .gain import LEAST, level, match_level

# Seconds: gains are computed for blocks of a sound, and drawn as lines from one to the next.
_BLOCK = 0.001
# Seconds in which a compressor's measure of loudness falls to 1/e of what it was.
_MEMORY = 0.05
# dB around the threshold over which a compressor sets in.
_KNEE = 3.0
# Largest gain ahead of a limiter, 30 dB: what is hardly there does not become loud.
_MOST = 31.6
# Seconds before and after a peak during which a limiter's gain moves.
_LOOKAHEAD = 0.02


def compress(
    samples: Tensor, config: CompressionConfig, sample_rate: int, chance: Chance
) -> Tensor:
    """Return voices ``[K, S, C, N]`` whose loud parts come closer to the soft ones."""
    shape = (*samples.shape[:2], 1, 1)
    threshold = chance.uniform(config.threshold, *shape)
    ratio = chance.ratio(config.ratio, *shape)
    block = max(1, round(_BLOCK * sample_rate))
    power = blocks(samples.square().mean(2, keepdim=True), block).mean(-1)
    above = _decibels(_remembered(power, _MEMORY * sample_rate / block))
    above = above - _decibels(level(samples).square()) - threshold
    reduction = (1 - 1 / ratio) * _KNEE * F.softplus(above / _KNEE)
    gain = lines(10 ** (-reduction / 20), block, samples.shape[-1])
    return match_level(samples * gain, samples)


def saturate(samples: Tensor, config: SaturationConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return stems ``[K, S, C, N]`` through ``tanh``, as loud as they were."""
    drive = chance.gain(config.drive, *samples.shape[:2], 1, 1)
    bent = torch.tanh(samples * (drive / level(samples).clamp(min=LEAST)))
    return match_level(bent, samples)


def limit(samples: Tensor, config: LimiterConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return items ``[K, S, C, N]`` whose mixture is loud, and never above full scale.

    All stems have the gain of the mixture, so that they still sum to it.
    """
    mixture = samples.sum(1, keepdim=True)
    wanted = chance.gain(config.loudness, len(samples), 1, 1, 1)
    loud = (wanted / level(mixture).clamp(min=LEAST)).clamp(max=_MOST)
    block = max(1, round(_BLOCK * sample_rate))
    peaks = blocks((mixture * loud).abs().amax(2, keepdim=True), block).amax(-1)
    allowed = 1 / peaks.clamp(min=1)
    # The least of a wider neighbourhood, averaged over one that is narrower by a block: every
    # block's own limit is in all that is averaged, and in that of its neighbours too.
    reach = max(1, round(_LOOKAHEAD * sample_rate / block))
    rows = allowed.flatten(0, 2)[:, None]
    least = -F.max_pool1d(
        F.pad(-rows, (reach + 1, reach + 1), mode="constant", value=-1.0), 2 * reach + 3, 1
    )
    smooth = F.avg_pool1d(F.pad(least, (reach, reach), mode="replicate"), 2 * reach + 1, 1)
    gain = lines(smooth.reshape(allowed.shape), block, samples.shape[-1])
    return samples * (loud * gain)


def blocks(samples: Tensor, block: int) -> Tensor:
    """Return samples ``[..., N]`` cut into blocks ``[..., blocks, block]``, the last one filled up.

    It is filled with the last sample.
    """
    missing = -samples.shape[-1] % block
    last = samples[..., -1:].expand(*samples.shape[:-1], missing)
    cut: Tensor = torch.cat([samples, last], -1).unflatten(-1, (-1, block))
    return cut


def lines(values: Tensor, block: int, length: int) -> Tensor:
    """Return samples ``[..., length]`` on lines from block to block's value ``[..., blocks]``."""
    centres = F.interpolate(
        values.flatten(0, -2)[:, None], scale_factor=block, mode="linear", align_corners=False
    )
    return centres.reshape(*values.shape[:-1], -1)[..., :length]


def _remembered(power: Tensor, memory: float) -> Tensor:
    """Return the mean of past blocks' powers ``[..., blocks]``, the older the less they count."""
    count = max(1, math.ceil(5 * memory))
    weights = torch.exp(-torch.arange(count, device=power.device) / max(memory, 1e-3)).flip(0)
    rows = power.flatten(0, -2)[:, None]
    # As if the sound had always been what it is at first.
    padded = F.pad(rows, (count - 1, 0), mode="replicate")
    return F.conv1d(padded, (weights / weights.sum())[None, None]).reshape(power.shape)


def _decibels(power: Tensor) -> Tensor:
    return 10 * power.clamp(min=LEAST**2).log10()
