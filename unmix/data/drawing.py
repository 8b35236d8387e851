"""Drawing: which track comes next, its excerpts, and another one where a file turns out damaged.

Everything follows from a seed and the index of an item, also what replaces a damaged excerpt: an
item whose file cannot be read is drawn again from a seed of its own, by whoever asks for it.
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

# Draws of one item that may meet damaged files before the corpus as a whole counts as damaged.
_ATTEMPTS = 20

_log = logging.getLogger(__name__)
_Item = TypeVar("_Item")


class _Damaged(Exception):  # noqa: N818  (no error yet: another excerpt takes its place)
    """A file cannot be read or is silent; the sentence says which."""


class Drawing:
    """Reads random excerpts of tracks; remembers what it had to leave out.

    Args:
        reader: cuts the excerpts.
        seed: another one gives other items.
        speed: largest relative change of playing speed.
        swap_channels: share of excerpts whose left and right are each other's.
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
        """Return what ``draw`` makes of the generator of an index.

        Raises:
            UnmixError: where one draw after the other meets damaged files, or a strict corpus one.
        """
        for attempt in range(_ATTEMPTS):
            seeds = (self._seed, index, attempt) if attempt else (self._seed, index)
            try:
                return draw(np.random.default_rng(seeds))
            except _Damaged as damage:
                last = str(damage)
                if last not in self.skipped:
                    self.skipped.add(last)
                    _log.warning("%s; another excerpt takes its place", last)
        raise UnmixError(f"{_ATTEMPTS} excerpts in a row could not be read; the last: {last}")

    def draw_speed(self, random: Generator) -> float:
        """Return a playing speed: 1.1 is ten per cent faster and higher."""
        return 1.0 + self._speed * random.uniform(-1.0, 1.0)

    def read(
        self,
        corpus: Corpus,
        track: Track,
        parts: Sequence[Part],
        random: Generator,
        speed: float | None = None,
    ) -> tuple[list[Samples], float]:
        """Return parts of a track at one random place, and the Hz up to which they hold.

        Args:
            corpus: that the track is of.
            track: what is read.
            parts: of the track.
            random: decides the place, and the speed where none is given.
            speed: at which the track is played.
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
    """Draws a track: first a corpus by weight, then one of its tracks that have the parts."""

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
                    f"corpus {corpus.config.path}: no track has {wanted}, nor files that it "
                    "follows from"
                )
            self._choices.append(Choice.of(tracks, by_duration=by_duration))

    @property
    def empty(self) -> bool:
        """Whether no corpus has a weight."""
        return not self._corpora

    def __call__(self, random: Generator, wanted: Wanted | None = None) -> tuple[Corpus, Track]:
        """Return a track, and the corpus that it is of.

        Where partners are wanted, it is one of the tracks, of all corpora, that come nearest; a
        corpus that has some is chosen by its weight.
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
