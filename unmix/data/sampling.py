"""Random mixtures: a seeded stream of items, each of which depends on its index alone.

Most items mix vocals and accompaniment of different songs, so that the network sees far more
mixtures than there are songs and cannot memorise one. The idea is from Uhlich et al., "Improving
music source separation based on deep neural networks through data augmentation and network
blending" (ICASSP 2017). Excerpts are read from disk on demand, so memory does not grow with the
corpus.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from .._types import Samples
from ..config import Settings
from ..errors import ConfigError
from ..stems import ACCOMPANIMENT, VOCALS
from .corpora import Corpus
from .drawing import CorpusDraw, Drawing
from .excerpts import ExcerptReader, rms
from .matching import MatchConfig, Wanted
from .rows import Part, Rows
from .tracks import Track, is_silence, mix

# Added to levels before dividing, so that silence is not amplified to the level of music.
_FLOOR = 1e-4


class MixingConfig(Settings):
    """How excerpts are mixed into items. Shares are probabilities; levels are RMS levels in dB."""

    coherent: float = Field(default=0.15, ge=0, le=1)
    """Share of items that are an excerpt of one song, unchanged."""
    without_vocals: float = Field(default=0.1, ge=0, le=1)
    """Share of items with silent vocals."""
    without_accompaniment: float = Field(default=0.02, ge=0, le=1)
    """Share of items with a silent accompaniment."""
    second_singer: float = Field(default=0.0, ge=0, le=1)
    """Share of mixed items whose vocals are two excerpts added together, from any corpora: the
    mix-audio augmentation of Kong et al. (ISMIR 2021), for vocals only."""
    second_accompaniment: float = Field(default=0.0, ge=0, le=1)
    """Share of mixed items whose accompaniment is two accompaniments added together."""
    second_level: tuple[float, float] = (-12.0, 0.0)
    """Range of the level of the second singer or accompaniment, relative to the first."""
    remix: float = Field(default=1.0, ge=0, le=1)
    """Share of accompaniments with instruments from different songs, if the corpus has them as
    separate stems."""
    vocals_level: tuple[float, float] = (-10.0, 4.0)
    """Range of the level of the vocals, relative to the accompaniment."""
    speed: float = Field(default=0.0, ge=0, lt=0.5)
    """Largest relative change of playing speed; pitch and formants change with it. Each excerpt has
    its own speed, except with ``match``, where all excerpts of an item share one."""
    swap_channels: float = Field(default=0.5, ge=0, le=1)
    """Share of excerpts with left and right swapped."""
    by_duration: bool = False
    """Whether tracks are drawn in proportion to their length; otherwise all are equally likely."""
    match: MatchConfig = MatchConfig()
    """Which songs may be mixed with each other, by tempo and key."""


class RandomMixtures(Dataset[dict[str, Tensor]]):
    """Items ``{"references": [S, C, N], "band": []}``: stems, and their bandwidth in Hz.

    The rows S are the stems, followed by the residual if the stems are not the whole mixture.

    Args:
        corpora: corpora to draw from.
        config: how to mix.
        sample_rate: sample rate of the items in Hz.
        channels: audio channels C.
        length: samples per channel N.
        seed: seed of the stream.
        items: nominal length of the stream.
        stems: stems of the model.

    Raises:
        ConfigError: the stems or the weights of the corpora do not allow such mixtures.
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
        stems: tuple[str, ...] = (VOCALS, ACCOMPANIMENT),
    ) -> None:
        self._config = config
        self._items = items
        self._rows = Rows.of(stems)
        reader = ExcerptReader(sample_rate, channels, length)
        self._drawing = Drawing(reader, seed, config.speed, config.swap_channels)
        if config.match.on and config.coherent < 1:
            corpora = [_with_tempo_key(corpus, config.match) for corpus in corpora]
        accompaniment, by_duration = self._rows.accompaniment, config.by_duration
        self._vocals = CorpusDraw(corpora, lambda c: c.vocals, [Part(VOCALS)], by_duration)
        self._accompaniment = CorpusDraw(
            corpora, lambda c: c.accompaniment, accompaniment, by_duration
        )
        self._coherent = CorpusDraw(
            corpora, lambda c: c.coherent, [Part(VOCALS), *accompaniment], by_duration
        )
        if self._coherent.empty and config.coherent:
            raise ConfigError(
                "mixing.coherent is above 0, but no corpus has a weight `coherent`: "
                "add one, or set mixing.coherent to 0"
            )
        if (self._vocals.empty or self._accompaniment.empty) and config.coherent < 1:
            raise ConfigError(
                "no corpus has a weight `vocals`, or none has a weight `accompaniment`"
            )

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows of ``references``."""
        return self._rows.names

    def __len__(self) -> int:
        return self._items

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return item ``index``, which depends on the seed and the index alone."""
        return self._drawing.item(index, self._item)

    def _item(self, random: Generator) -> dict[str, Tensor]:
        song = random.random() < self._config.coherent
        vocals, accompaniment, band = self._song(random) if song else self._pair(random)
        draw = random.random()
        if draw < self._config.without_vocals:
            vocals = np.zeros_like(vocals)
        elif draw > 1 - self._config.without_accompaniment:
            accompaniment = [np.zeros_like(samples) for samples in accompaniment]
        return {
            "references": torch.from_numpy(self._rows.stack(vocals, accompaniment)),
            "band": torch.tensor(band, dtype=torch.float32),
        }

    def _song(self, random: Generator) -> tuple[Samples, list[Samples], float]:
        """Return an excerpt of one song, and its bandwidth."""
        corpus, track = self._coherent(random)
        parts = [Part(VOCALS), *self._rows.accompaniment]
        (vocals, *accompaniment), band = self._drawing.read(corpus, track, parts, random)
        return vocals, accompaniment, band

    def _pair(self, random: Generator) -> tuple[Samples, list[Samples], float]:
        """Return vocals and accompaniment of different songs, and their bandwidth."""
        corpus, track = self._vocals(random)
        wanted = Wanted.by(track, self._config.match)
        speed = self._drawing.draw_speed(random) if wanted else None
        (vocals,), band = self._drawing.read(corpus, track, [Part(VOCALS)], random, speed)
        if self._config.second_singer and random.random() < self._config.second_singer:
            second, other, narrower = self._second(random, vocals, wanted, speed)
            vocals, band = vocals + second, min(band, narrower)
            wanted = wanted.beside(other) if wanted else None
        accompaniment, narrower = self._draw_accompaniment(random, wanted, speed)
        level = random.uniform(*self._config.vocals_level)
        whole = mix(accompaniment)
        if is_silence(whole):
            return vocals, accompaniment, min(narrower, band)
        return _levelled(vocals, level, whole), accompaniment, min(narrower, band)

    def _second(
        self, random: Generator, vocals: Samples, wanted: Wanted | None, speed: float | None
    ) -> tuple[Samples, Track, float]:
        """Return vocals at a random level relative to ``vocals``, their track and bandwidth."""
        corpus, track = self._vocals(random, wanted)
        (second,), band = self._drawing.read(corpus, track, [Part(VOCALS)], random, speed)
        level = random.uniform(*self._config.second_level)
        return _levelled(second, level, vocals), track, band

    def _draw_accompaniment(
        self, random: Generator, wanted: Wanted | None, speed: float | None
    ) -> tuple[list[Samples], float]:
        """Return the parts of an accompaniment, maybe two added together, and the bandwidth."""
        share = self._config.second_accompaniment
        accompaniment, band, track = self._draw_one_accompaniment(random, wanted, speed)
        if not share or random.random() >= share:
            return accompaniment, band
        joined = wanted.beside(track) if wanted else None
        second, narrower, _ = self._draw_one_accompaniment(random, joined, speed)
        level = random.uniform(*self._config.second_level)
        whole = mix(accompaniment)
        if is_silence(whole):
            return second, narrower
        gain = _gain_to(level, mix(second), whole)
        added = [part + other * gain for part, other in zip(accompaniment, second, strict=True)]
        return added, min(band, narrower)

    def _draw_one_accompaniment(
        self, random: Generator, wanted: Wanted | None, speed: float | None
    ) -> tuple[list[Samples], float, Track]:
        """Return the parts of an accompaniment, its bandwidth, and the first track of it.

        The parts are from one song, or every file is from another song.
        """
        corpus, track = self._accompaniment(random, wanted)
        files = [part.files(track) for part in self._rows.accompaniment]
        apart = all(files) and sum(map(len, files)) > 1
        if not apart or random.random() >= self._config.remix:
            return *self._drawing.read(
                corpus, track, self._rows.accompaniment, random, speed
            ), track
        joined = wanted.beside(track) if wanted else None
        accompaniment, bands = [], []
        for names in files:
            parts = []
            for name in names:
                other = corpus.draw(
                    name,
                    random,
                    by_duration=self._config.by_duration,
                    wanted=joined.of(name) if joined else None,
                )
                (samples,), band = self._drawing.read(corpus, other, [Part(name)], random, speed)
                parts.append(samples * np.float32(_gain(random.uniform(-4.0, 4.0))))
                bands.append(band)
            accompaniment.append(mix(parts))
        return accompaniment, min(bands), track


def _with_tempo_key(corpus: Corpus, match: MatchConfig) -> Corpus:
    """Return a corpus with tempo and key of its tracks, if its tracks are mixed with others."""
    if not corpus.config.vocals and not corpus.config.accompaniment:
        return corpus
    return corpus.with_tempo_key(voices=match.key is not None)


def _levelled(samples: Samples, level: float, against: Samples) -> Samples:
    """Return samples at a level in dB relative to ``against``."""
    return samples * _gain_to(level, samples, against)


def _gain_to(level: float, samples: Samples, against: Samples) -> np.float32:
    """Return the gain that brings samples to a level in dB relative to ``against``."""
    return np.float32(_gain(level) * (rms(against) + _FLOOR) / (rms(samples) + _FLOOR))


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))
