"""Augmentation of batches on the training device, before the network sees them.

Each augmentation is a function of samples, settings and random numbers; ``augment`` applies those
of a recipe in order. A mixture is the sum of its references, so an effect on the mixture, such as a
limiter, is applied to all its stems alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ...errors import ConfigError
from ...stems import VOCALS
from .chance import Chance
from .codec import simulate_codec
from .config import AugmentConfig, Effect
from .doubling import add_doubling
from .dynamics import compress, limit, saturate
from .filters import equalise, limit_band
from .gain import change_gain, invert, swap_channels
from .mixing import blend, remix
from .reverb import add_reverb
from .speed_pitch import change_pitch, change_speed
from .stereo import change_stereo

__all__ = ["AugmentConfig", "augment", "band_after"]


class _Change(Protocol):
    """Changes all of the items ``[K, S, C, N]``."""

    def __call__(
        self, samples: Tensor, config: Any, sample_rate: int, chance: Chance
    ) -> Tensor: ...


class _Step(NamedTuple):
    change: _Change
    config: Effect
    rows: Sequence[int]


@torch.no_grad()
def augment(
    references: Tensor,
    stems: tuple[str, ...],
    sample_rate: int,
    config: AugmentConfig,
    generator: torch.Generator,
) -> Tensor:
    """Return a batch with random changes, of the same shape.

    Args:
        references: ``[B, S, C, N]``; the mixture is their sum.
        stems: names of the stems S.
        sample_rate: sample rate in Hz.
        config: the augmentations. By default there are none, and no random number is drawn.
        generator: source of all random numbers. A generator on the CPU gives the same changes on
            every device.

    Raises:
        ConfigError: an effect on vocals has no stem ``vocals``, or one on stereo no two channels.
    """
    if config.image.share and references.shape[2] != 2:
        raise ConfigError(
            f"augment.image needs 2 audio channels, but the model has {references.shape[2]}: "
            "remove that table"
        )
    chance = Chance(generator, references.device)
    if config.remix.share:
        references = remix(references, config.remix, chance)
    if config.blend.share:
        references = blend(references, config.blend, chance)
    for step in _sound(config, stems):
        references = _changed(references, step, sample_rate, chance)
    if config.channels.swap:
        references = swap_channels(references, config.channels.swap, chance)
    if config.channels.invert:
        references = invert(references, config.channels.invert, chance)
    for step in _delivery(config, stems):
        references = _changed(references, step, sample_rate, chance)
    return references


def band_after(band: Tensor, config: AugmentConfig) -> Tensor:
    """Return the smallest possible bandwidth of items in Hz ``[B]`` after augmentation.

    Args:
        band: bandwidth before augmentation in Hz ``[B]``.
        config: the augmentations. Items that exchange stems get the smallest bandwidth of all;
            items that may become lower get the lowest possible one.
    """
    if config.remix.share or config.blend.share:
        band = band.amin().expand_as(band)
    if config.playback.share:
        band = band * min(1.0, config.playback.speed[0])
    if config.pitch.share:
        band = band * min(1.0, 2 ** (config.pitch.semitones[0] / 12))
    return band


def _sound(config: AugmentConfig, stems: tuple[str, ...]) -> Iterator[_Step]:
    """Yield the effects on stems, in order."""
    every = range(len(stems))
    voices = [row for row, stem in enumerate(stems) if stem == VOCALS]
    voice = config.voice
    tables = (voice.compression, voice.doubling, voice.reverb)
    if not voices and any(table.share for table in tables):
        raise ConfigError(
            f"augment.voice needs the stem {VOCALS}; the stems are {', '.join(stems)}"
        )
    yield _Step(change_speed, config.playback, every)
    yield _Step(change_pitch, config.pitch, every)
    yield _Step(equalise, config.equaliser, every)
    yield _Step(saturate, config.saturation, every)
    yield _Step(compress, voice.compression, voices)
    yield _Step(add_doubling, voice.doubling, voices)
    yield _Step(add_reverb, voice.reverb, voices)
    yield _Step(change_stereo, config.image, every)
    yield _Step(change_gain, config.gain, every)


def _delivery(config: AugmentConfig, stems: tuple[str, ...]) -> Iterator[_Step]:
    """Yield the effects on the finished mixture, in order."""
    every = range(len(stems))
    yield _Step(limit, config.delivery.limiter, every)
    yield _Step(limit_band, config.delivery.band, every)
    yield _Step(simulate_codec, config.delivery.codec, every)


def _changed(references: Tensor, step: _Step, sample_rate: int, chance: Chance) -> Tensor:
    """Return references with a share of the items changed; others are not computed."""
    if not step.config.share:
        return references
    items = chance.chosen(step.config.share, len(references))
    if not len(items):
        return references
    where = items[:, None], torch.tensor(list(step.rows), device=references.device)
    changed = step.change(references[where], step.config, sample_rate, chance)
    return references.index_put(where, changed)
