"""Random mixtures: an endless, seeded stream of excerpts whose every item depends on its index
alone.

An item draws vocals and accompaniment from different songs more often than not: the network then
sees far more mixtures than there are songs, and cannot learn a song by heart. The idea is as old as
Uhlich et al., "Improving music source separation based on deep neural networks through data
augmentation and network blending" (ICASSP 2017). Excerpts are read from disk when they are asked
for, so a corpus of any size trains in the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.random import Generator
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from ..config import Settings
from ..errors import ConfigError
from ..stems import ACCOMPANIMENT, VOCALS
from .corpora import Corpus, CorpusConfig
from .excerpts import ExcerptReader, rms
from .tracks import Samples, Track

# Added to levels before they are divided: silence is not brought up to the level of music.
_FLOOR = 1e-4


class MixingConfig(Settings):
    """How an excerpt is mixed. Shares are of items; levels are of root mean squares, in dB."""

    coherent: float = Field(default=0.15, ge=0, le=1)
    """Share of songs taken as they are."""
    without_vocals: float = Field(default=0.1, ge=0, le=1)
    """Share of items whose vocals are silent."""
    without_accompaniment: float = Field(default=0.02, ge=0, le=1)
    """Share of items whose accompaniment is silent."""
    remix: float = Field(default=1.0, ge=0, le=1)
    """Share of accompaniments whose instruments come from different songs, where they are apart."""
    vocals_level: tuple[float, float] = (-10.0, 4.0)
    """Range of the vocals' level against the accompaniment's."""
    speed: float = Field(default=0.0, ge=0, lt=0.5)
    """Largest relative change of playing speed, which moves pitch and formants with it."""


class RandomMixtures(Dataset[dict[str, Tensor]]):
    """Items ``{"references": [2, C, N], "band": []}``: vocals, accompaniment, and Hz up to which
    they hold.

    Args:
        corpora: what to draw from.
        config: how to mix.
        sample_rate: Hz, of the items.
        channels: C.
        length: N, samples.
        seed: another one gives another stream.
        items: nominal length of the stream.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        config: MixingConfig,
        *,
        sample_rate: int,
        channels: int,
        length: int,
        seed: int,
        items: int,
    ) -> None:
        self._config = config
        self._excerpt = ExcerptReader(sample_rate, channels, length)
        self._seed = seed
        self._items = items
        self._vocals = _Draw(corpora, lambda c: c.vocals, VOCALS)
        self._accompaniment = _Draw(corpora, lambda c: c.accompaniment, ACCOMPANIMENT)
        self._coherent = _Draw(corpora, lambda c: c.coherent, VOCALS, ACCOMPANIMENT)
        if self._coherent.empty and config.coherent:
            raise ConfigError("mixing.coherent is above 0, but no corpus has a weight `coherent`")
        if (self._vocals.empty or self._accompaniment.empty) and config.coherent < 1:
            raise ConfigError("no corpus has a weight for `vocals`, or none for `accompaniment`")

    def __len__(self) -> int:
        return self._items

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return item ``index``: the same one whoever asks, in whatever order."""
        random = np.random.default_rng((self._seed, index))
        if random.random() < self._config.coherent:
            vocals, accompaniment, band = self._song(random)
        else:
            vocals, accompaniment, band = self._pair(random)
        draw = random.random()
        if draw < self._config.without_vocals:
            vocals = np.zeros_like(vocals)
        elif draw > 1 - self._config.without_accompaniment:
            accompaniment = np.zeros_like(accompaniment)
        references = np.stack([vocals, accompaniment])
        return {
            "references": torch.from_numpy(references),
            "band": torch.tensor(band, dtype=torch.float32),
        }

    def _song(self, random: Generator) -> tuple[Samples, Samples, float]:
        """Return both stems of one song at one time, as they were mixed."""
        corpus, track = self._coherent(random)
        stems, speed = self._read(track, (VOCALS, ACCOMPANIMENT), random)
        return stems[0], stems[1], _band(corpus, speed)

    def _pair(self, random: Generator) -> tuple[Samples, Samples, float]:
        """Return vocals and accompaniment that never met, at a random level."""
        corpus, track = self._vocals(random)
        (vocals,), speed = self._read(track, (VOCALS,), random)
        accompaniment, band = self._draw_accompaniment(random)
        level = random.uniform(*self._config.vocals_level)
        gain = _gain(level) * (rms(accompaniment) + _FLOOR) / (rms(vocals) + _FLOOR)
        return vocals * np.float32(gain), accompaniment, min(band, _band(corpus, speed))

    def _draw_accompaniment(self, random: Generator) -> tuple[Samples, float]:
        corpus, track = self._accompaniment(random)
        if len(track.parts(ACCOMPANIMENT)) == 1 or random.random() >= self._config.remix:
            (samples,), speed = self._read(track, (ACCOMPANIMENT,), random)
            return samples, _band(corpus, speed)
        parts, bands = [], []
        for name in track.parts(ACCOMPANIMENT):
            other = corpus.draw(name, random)
            (part,), speed = self._read(other, (name,), random)
            parts.append(part * np.float32(_gain(random.uniform(-4.0, 4.0))))
            bands.append(_band(corpus, speed))
        return np.sum(parts, axis=0, dtype=np.float32), min(bands)

    def _read(
        self, track: Track, stems: tuple[str, ...], random: Generator
    ) -> tuple[list[Samples], float]:
        """Return the stems of a track at one random place, and the speed they are played at."""
        speed = 1.0 + self._config.speed * random.uniform(-1.0, 1.0)
        files = [[track.stems[name] for name in track.parts(stem)] for stem in stems]
        excerpts = self._excerpt(files, speed, random)
        if random.random() < 0.5:  # left and right are each other's
            excerpts = [np.ascontiguousarray(samples[::-1]) for samples in excerpts]
        return excerpts, speed


class _Draw:
    """Draws a track: first a corpus by weight, then any of its tracks that have the stems."""

    def __init__(
        self, corpora: Sequence[Corpus], weight: Callable[[CorpusConfig], float], *stems: str
    ) -> None:
        self._corpora = [corpus for corpus in corpora if weight(corpus.config)]
        weights = np.array([weight(corpus.config) for corpus in self._corpora])
        self._shares = weights / weights.sum() if len(weights) else weights
        self._tracks = [corpus.having(*stems) for corpus in self._corpora]
        for corpus, tracks in zip(self._corpora, self._tracks, strict=True):
            if not tracks:
                raise ConfigError(
                    f"corpus {corpus.config.path}: no track has {' and '.join(stems)}"
                )

    @property
    def empty(self) -> bool:
        return not self._corpora

    def __call__(self, random: Generator) -> tuple[Corpus, Track]:
        chosen = int(random.choice(len(self._corpora), p=self._shares))
        tracks = self._tracks[chosen]
        return self._corpora[chosen], tracks[int(random.integers(len(tracks)))]


def _band(corpus: Corpus, speed: float) -> float:
    return corpus.config.band * speed if corpus.config.band else float("inf")


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))
