"""Random mixtures: an endless, seeded stream of excerpts whose every item depends on its index
alone.

An item draws vocals and accompaniment from different songs more often than not: the network then
sees far more mixtures than there are songs, and cannot learn a song by heart. The idea is as old as
Uhlich et al., "Improving music source separation based on deep neural networks through data
augmentation and network blending" (ICASSP 2017). Excerpts are read from disk when they are asked
for, so a corpus of any size trains in the same memory.
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

# Added to levels before they are divided: silence is not brought up to the level of music.
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
    """Items ``{"references": [S, C, N], "band": []}``: stems, and Hz up to which they hold.

    The rows are the stems in their order; where these are not the whole mixture, one more row is
    all the rest of it.

    Args:
        corpora: what to draw from.
        config: how to mix.
        sample_rate: Hz, of the items.
        channels: C.
        length: N, samples.
        seed: another one gives another stream.
        items: nominal length of the stream.
        stems: those of the model.
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
        """The names of the rows of ``references``."""
        return self._rows.names

    def __len__(self) -> int:
        return self._items

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return item ``index``: the same one whoever asks, in whatever order."""
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
        """Return all stems of one song at one time, as they were mixed."""
        corpus, track = self._coherent(random)
        parts = [Part(VOCALS), *self._rows.accompaniment]
        (vocals, *accompaniment), band = self._drawing.read(corpus, track, parts, random)
        return vocals, accompaniment, band

    def _pair(self, random: Generator) -> tuple[Samples, list[Samples], float]:
        """Return vocals and accompaniment that never met, at a random level."""
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
        if is_silence(whole):  # there is nothing to be loud against
            return vocals, accompaniment, min(narrower, band)
        return _levelled(vocals, level, whole), accompaniment, min(narrower, band)

    def _second(
        self, random: Generator, vocals: Samples, wanted: Wanted | None, speed: float | None
    ) -> tuple[Samples, Track, float]:
        """Return vocals at a random level against those given, their track, the Hz they hold."""
        corpus, track = self._vocals(random, wanted)
        (second,), band = self._drawing.read(corpus, track, [Part(VOCALS)], random, speed)
        level = random.uniform(*self._config.second_level)
        return _levelled(second, level, vocals), track, band

    def _draw_accompaniment(
        self, random: Generator, wanted: Wanted | None, speed: float | None
    ) -> tuple[list[Samples], float]:
        """Return the accompaniment in parts, maybe with a second one in it, the Hz it holds."""
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
        """Return the accompaniment in parts: of one song, or every file of another song.

        After it come the Hz that it holds, and the track that was drawn first.
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
    """Return a corpus with tempo and key of its tracks, where pairs are made of them."""
    if not corpus.config.vocals and not corpus.config.accompaniment:
        return corpus
    return corpus.with_tempo_key(voices=match.key is not None)


def _levelled(samples: Samples, level: float, against: Samples) -> Samples:
    """Return samples at a level in dB against that of others."""
    return samples * _gain_to(level, samples, against)


def _gain_to(level: float, samples: Samples, against: Samples) -> np.float32:
    """Return the gain that brings samples to a level in dB against that of others."""
    return np.float32(_gain(level) * (rms(against) + _FLOOR) / (rms(samples) + _FLOOR))


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))
