"""Corpora: where training excerpts come from, and how often each is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from ..config import Settings
from ..errors import ConfigError
from ..stems import ORDER
from .folders import Contents, Format, Skipped, read_folder
from .matching import Repertoire, Wanted
from .tempo_key_cache import with_tempo_key
from .tracks import MIXTURE, Track

#: Names of files that are stems in every corpus.
STEMS = (*ORDER, "piano", "guitar", MIXTURE)


class CorpusConfig(Settings):
    """One folder of tracks. Weights are relative to those of the other corpora."""

    path: str
    """Folder, relative to the data folder."""
    format: Format = "auto"
    """How tracks lie in it; ``auto`` tells, and refuses where two layouts are possible."""
    single: str | None = None
    """For a folder whose every file is a track of one stem: that stem's name."""
    include: tuple[str, ...] = ()
    """Patterns of tracks or relative paths; where given, all others are left out."""
    exclude: tuple[str, ...] = ()
    """Patterns of tracks or relative paths to leave out: held-out singers, say."""
    strict: bool = False
    """Whether a damaged or silent file ends the run; else it is named and left out."""
    band: float | None = Field(default=None, gt=0)
    """Hz above which the recordings hold nothing; the loss does not look there."""
    vocals: float = Field(default=0.0, ge=0)
    """Weight of this corpus when vocals are drawn on their own."""
    accompaniment: float = Field(default=0.0, ge=0)
    """Weight when an accompaniment, or an instrument of it, is drawn on its own."""
    coherent: float = Field(default=0.0, ge=0)
    """Weight when a song is taken as it is, vocals with their own accompaniment."""
    mixture: float = Field(default=0.0, ge=0)
    """Weight when a mixture is drawn of which the stems are not asked for."""


@dataclass(frozen=True)
class Choice:
    """Tracks to draw from, each as likely as the next, or as it is long."""

    tracks: tuple[Track, ...]
    shares: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, tracks: Sequence[Track], *, by_duration: bool) -> Choice:
        """Return a choice of tracks, each weighted by its duration or like the others."""
        if not by_duration or not tracks:
            return cls(tuple(tracks))
        seconds = np.array([track.seconds for track in tracks])
        return cls(tuple(tracks), seconds / seconds.sum())

    def draw(self, random: Generator, among: NDArray[np.bool_] | None = None) -> Track:
        """Return one of the tracks; where ``among`` is given, one for which that is true."""
        if among is not None:
            weights = among * (1.0 if self.shares is None else self.shares)
            return self.tracks[int(random.choice(len(self.tracks), p=weights / weights.sum()))]
        if self.shares is None:
            return self.tracks[int(random.integers(len(self.tracks)))]
        return self.tracks[int(random.choice(len(self.tracks), p=self.shares))]

    def distances(self, wanted: Wanted) -> NDArray[np.float64]:
        """Return how far each track is from what is wanted of a partner: 0 where it fits."""
        return self._repertoire.distances(wanted)

    @cached_property
    def _repertoire(self) -> Repertoire:
        return Repertoire(self.tracks)


@dataclass(frozen=True)
class Corpus:
    """The tracks of one folder, with how to draw from it."""

    config: CorpusConfig
    contents: Contents

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All of them, also those that lack a stem."""
        return self.contents.tracks

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What is left out, as its header cannot be read."""
        return self.contents.skipped

    def with_tempo_key(self, *, voices: bool) -> Corpus:
        """Return the corpus with tempo and key of its tracks; see ``with_tempo_key``."""
        tracks = with_tempo_key(self.tracks, voices=voices)
        return replace(self, contents=replace(self.contents, tracks=tracks))

    def draw(
        self,
        stem: str,
        random: Generator,
        *,
        by_duration: bool = False,
        wanted: Wanted | None = None,
    ) -> Track:
        """Return a track that has a file for ``stem``: any, or one that comes nearest."""
        key = (stem, by_duration)
        if key not in self._choices:
            tracks = [track for track in self.tracks if stem in track.stems]
            self._choices[key] = Choice.of(tracks, by_duration=by_duration)
        choice = self._choices[key]
        if wanted is None:
            return choice.draw(random)
        distances = choice.distances(wanted)
        return choice.draw(random, distances <= distances.min())

    @cached_property
    def _choices(self) -> dict[tuple[str, bool], Choice]:
        return {}


def open_corpus(config: CorpusConfig, data: Path, stems: Sequence[str] = ()) -> Corpus:
    """Find the tracks of a corpus below the data folder; headers are read, samples are not.

    Args:
        config: which folder, and what of it.
        data: the folder that the path is relative to.
        stems: names of files that are stems beside the usual ones.

    Raises:
        UnmixError: where there is no track, or its layout is unclear.
    """
    if config.single and config.format not in ("auto", "packed"):
        raise ConfigError(f"corpus {config.path}: `single` leaves nothing for `format` to say")
    contents = read_folder(
        data / config.path,
        tuple(dict.fromkeys((*STEMS, *stems))),
        format=config.format,
        single=config.single,
        include=config.include,
        exclude=config.exclude,
        strict=config.strict,
    )
    return Corpus(config, contents)
