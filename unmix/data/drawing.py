"""Random draws of tracks and excerpts, with replacements for damaged files.

Every item depends on the seed and its index alone, including replacements: an item whose file
cannot be read is drawn again with a seed derived from the attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from .._types import Samples
from ..errors import AudioError, ConfigError, UnmixError
from .corpora import Choice, Corpus, CorpusConfig
from .excerpts import ExcerptReader
from .matching import Wanted
from .rows import Part
from .tracks import Track

# Attempts per item before the whole corpus counts as damaged.
_ATTEMPTS = 20

_log = logging.getLogger(__name__)
_Item = TypeVar("_Item")


class _Damaged(Exception):  # noqa: N818  (caught: another excerpt is used)
    """A file cannot be read or is silent."""


class Drawing:
    """Reads random excerpts of tracks, and records the files that it skips.

    Args:
        reader: reads the excerpts.
        seed: seed of all items.
        speed: largest relative change of playing speed.
        swap_channels: share of excerpts with left and right swapped.
    """

    def __init__(
        self, reader: ExcerptReader, seed: int, speed: float, swap_channels: float
    ) -> None:
        self._reader = reader
        self._seed = seed
        self._speed = speed
        self._swap_channels = swap_channels
        self.skipped: set[str] = set()

    def item(self, index: int, draw: Callable[[Generator], _Item]) -> _Item:
        """Return the result of ``draw``, called with the random generator of an index.

        Raises:
            UnmixError: all attempts hit damaged files, or one did in a strict corpus.
        """
        for attempt in range(_ATTEMPTS):
            seeds = (self._seed, index, attempt) if attempt else (self._seed, index)
            try:
                return draw(np.random.default_rng(seeds))
            except _Damaged as damage:
                last = str(damage)
                if last not in self.skipped:
                    self.skipped.add(last)
                    _log.warning("%s; using another excerpt", last)
        raise UnmixError(f"{_ATTEMPTS} excerpts in a row cannot be read; last error: {last}")

    def draw_speed(self, random: Generator) -> float:
        """Return a random speed factor: 1.1 is ten per cent faster and higher."""
        return 1.0 + self._speed * random.uniform(-1.0, 1.0)

    def read(
        self,
        corpus: Corpus,
        track: Track,
        parts: Sequence[Part],
        random: Generator,
        speed: float | None = None,
    ) -> tuple[list[Samples], float]:
        """Return parts of a track at one random position, and their bandwidth in Hz.

        Args:
            corpus: the corpus of the track.
            track: the track to read.
            parts: the parts to read.
            random: decides the position, and the speed if none is given.
            speed: speed factor; default: random.
        """
        if speed is None:
            speed = self.draw_speed(random)
        try:
            excerpts = self._reader([part.terms(track) for part in parts], speed, random)
        except AudioError as error:
            if corpus.config.strict:
                raise
            raise _Damaged(str(error)) from error
        if random.random() < self._swap_channels:
            excerpts = [samples[::-1].copy() for samples in excerpts]
        return excerpts, corpus.config.band * speed if corpus.config.band else float("inf")


class CorpusDraw:
    """Draws a corpus by weight, then one of its tracks that have all ``parts``."""

    def __init__(
        self,
        corpora: Sequence[Corpus],
        weight: Callable[[CorpusConfig], float],
        parts: Sequence[Part],
        by_duration: bool,
    ) -> None:
        self._corpora = [corpus for corpus in corpora if weight(corpus.config)]
        weights = np.array([weight(corpus.config) for corpus in self._corpora])
        self._shares = weights / weights.sum() if len(weights) else weights
        self._choices = []
        for corpus in self._corpora:
            tracks = [t for t in corpus.tracks if all(part.terms(t) for part in parts)]
            if not tracks:
                wanted = " and ".join(map(str, parts))
                raise ConfigError(
                    f"corpus {corpus.config.path}: no track has {wanted}, or stems to compute "
                    "it from"
                )
            self._choices.append(Choice.of(tracks, by_duration=by_duration))

    @property
    def empty(self) -> bool:
        """Whether no corpus has a weight above 0."""
        return not self._corpora

    def __call__(self, random: Generator, wanted: Wanted | None = None) -> tuple[Corpus, Track]:
        """Return a random track and its corpus.

        If a partner is wanted, the track is one of the nearest ones in all corpora; the corpora
        that have such tracks are chosen by weight.
        """
        if wanted is None:
            chosen = int(random.choice(len(self._corpora), p=self._shares))
            return self._corpora[chosen], self._choices[chosen].draw(random)
        distances = [choice.distances(wanted) for choice in self._choices]
        nearest = min(some.min() for some in distances)
        shares = self._shares * [some.min() <= nearest for some in distances]
        chosen = int(random.choice(len(self._corpora), p=shares / shares.sum()))
        return self._corpora[chosen], self._choices[chosen].draw(
            random, distances[chosen] <= nearest
        )
