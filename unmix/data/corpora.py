"""Corpora: the folders that training excerpts come from, and how often each is drawn."""

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
    """One folder of tracks. Weights are relative to those of the other corpora; 0: not used."""

    path: str
    """Folder, relative to the data folder."""
    format: Format = "auto"
    """Layout of the tracks; ``auto`` detects it, and fails if two layouts are possible."""
    single: str | None = None
    """Name of the only stem, for a folder in which every file is a track."""
    include: tuple[str, ...] = ()
    """Patterns of track names or relative paths to use; default: all."""
    exclude: tuple[str, ...] = ()
    """Patterns of track names or relative paths to skip, such as held-out singers."""
    strict: bool = False
    """Whether a damaged or silent file is an error; otherwise it is reported and skipped."""
    band: float | None = Field(default=None, gt=0)
    """Bandwidth of the recordings in Hz; the loss ignores higher frequencies. Default: all."""
    vocals: float = Field(default=0.0, ge=0)
    """Weight of this corpus when vocals are drawn."""
    accompaniment: float = Field(default=0.0, ge=0)
    """Weight when an accompaniment, or an instrument of it, is drawn."""
    coherent: float = Field(default=0.0, ge=0)
    """Weight when a whole song is drawn, vocals with their own accompaniment."""
    mixture: float = Field(default=0.0, ge=0)
    """Weight when a mixture without stems is drawn, for semi-supervised training."""


@dataclass(frozen=True)
class Choice:
    """Tracks to draw from, equally often or in proportion to their length."""

    tracks: tuple[Track, ...]
    shares: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, tracks: Sequence[Track], *, by_duration: bool) -> Choice:
        """Return a choice of tracks, weighted by their duration or equally."""
        if not by_duration or not tracks:
            return cls(tuple(tracks))
        seconds = np.array([track.seconds for track in tracks])
        return cls(tuple(tracks), seconds / seconds.sum())

    def draw(self, random: Generator, among: NDArray[np.bool_] | None = None) -> Track:
        """Return one of the tracks, or of those for which ``among`` is true."""
        if among is not None:
            weights = among * (1.0 if self.shares is None else self.shares)
            return self.tracks[int(random.choice(len(self.tracks), p=weights / weights.sum()))]
        if self.shares is None:
            return self.tracks[int(random.integers(len(self.tracks)))]
        return self.tracks[int(random.choice(len(self.tracks), p=self.shares))]

    def distances(self, wanted: Wanted) -> NDArray[np.float64]:
        """Return the distance of each track from the wanted partner; 0: it fits."""
        return self._repertoire.distances(wanted)

    @cached_property
    def _repertoire(self) -> Repertoire:
        return Repertoire(self.tracks)


@dataclass(frozen=True)
class Corpus:
    """The tracks of one folder, and how to draw from them."""

    config: CorpusConfig
    contents: Contents

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All tracks, including those that lack a stem."""
        return self.contents.tracks

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that are skipped because their headers cannot be read."""
        return self.contents.skipped

    def with_tempo_key(self, *, voices: bool) -> Corpus:
        """Return the corpus with the tempo and key of its tracks; see ``with_tempo_key``."""
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
        """Return a track with a file for ``stem``: any, or one nearest to the wanted partner."""
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
    """Find the tracks of a corpus in the data folder; only headers are read.

    Args:
        config: the folder, and which of its tracks.
        data: data folder that the path is relative to.
        stems: names of files that are stems, besides the usual ones.

    Raises:
        UnmixError: there is no track, or the layout is ambiguous.
    """
    if config.single and config.format not in ("auto", "packed"):
        raise ConfigError(f"corpus {config.path}: `single` and `format` cannot be used together")
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
