"""Corpora: where training excerpts come from, and how often each is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from numpy.random import Generator
from pydantic import Field

from ..config import Settings
from ..stems import ACCOMPANIMENT, INSTRUMENTS, VOCALS
from .folders import find_tracks
from .tracks import Track


class CorpusConfig(Settings):
    """One folder of tracks. Weights are relative to those of the other corpora."""

    path: str
    """Folder, relative to the data folder."""
    single: str | None = None
    """For a folder whose every file is a track of one stem: that stem's name."""
    exclude: tuple[str, ...] = ()
    """Patterns of relative paths to leave out: held-out singers, say."""
    band: float | None = Field(default=None, gt=0)
    """Hz above which the recordings hold nothing; the loss does not look there."""
    vocals: float = Field(default=0.0, ge=0)
    """Weight of this corpus when vocals are drawn on their own."""
    accompaniment: float = Field(default=0.0, ge=0)
    """Weight when an accompaniment is drawn on its own."""
    coherent: float = Field(default=0.0, ge=0)
    """Weight when a song is taken as it is, vocals with their own accompaniment."""


@dataclass(frozen=True)
class Corpus:
    """The tracks of one folder, with how to draw from it."""

    config: CorpusConfig
    tracks: tuple[Track, ...]

    def having(self, *stems: str) -> tuple[Track, ...]:
        """Return the tracks from which every one of ``stems`` can be had."""
        return tuple(track for track in self.tracks if all(map(track.parts, stems)))

    def draw(self, stem: str, random: Generator) -> Track:
        """Return any track that has a file for ``stem``."""
        tracks = [track for track in self.tracks if stem in track.stems]
        return tracks[int(random.integers(len(tracks)))]


def open_corpus(config: CorpusConfig, data: Path) -> Corpus:
    """Find the tracks of a corpus below the data folder; headers are read, samples are not."""
    tracks = find_tracks(
        data / config.path,
        (VOCALS, ACCOMPANIMENT, *INSTRUMENTS),
        single=config.single,
        exclude=config.exclude,
    )
    return Corpus(config, tuple(tracks))
