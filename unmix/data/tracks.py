"""A track: one song, with a file per stem on disk. Nothing is decoded before it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..audio import probe, read_excerpt, resample
from ..errors import AudioError
from ..stems import ACCOMPANIMENT, INSTRUMENTS

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class StemFile:
    """One stem of a track: where it is and what its header says."""

    path: Path
    sample_rate: int
    """Hz."""
    length: int
    """Samples per channel."""

    @classmethod
    def open(cls, path: Path) -> StemFile:
        """Read a file's header; an ``AudioError`` names a file that does not say its length."""
        info = probe(path)
        if info.length is None:
            raise AudioError(f"{path}: does not say how long it is; convert it to wav or flac")
        return cls(path, info.sample_rate, info.length)

    def length_at(self, sample_rate: int) -> int:
        """Return the length in samples once resampled to ``sample_rate`` Hz."""
        return self.length * sample_rate // self.sample_rate

    def read(self, start: int, length: int, sample_rate: int, channels: int) -> Samples:
        """Return an excerpt ``[channels, length]`` at ``sample_rate`` Hz, zeros after the end.

        Args:
            start: first sample, counted at ``sample_rate``.
            length: samples to return, counted likewise.
            sample_rate: Hz.
            channels: mono is repeated, more channels than asked for are averaged down.
        """
        first = start * self.sample_rate // sample_rate
        count = -(-length * self.sample_rate // sample_rate)
        samples = read_excerpt(self.path, first, count)
        if self.sample_rate != sample_rate:
            samples = resample(samples, self.sample_rate, sample_rate)
        samples = with_channels(samples, channels)[:, :length]
        return np.pad(samples, ((0, 0), (0, length - samples.shape[1])))


@dataclass(frozen=True)
class Track:
    """A song with its stems, by name."""

    name: str
    stems: dict[str, StemFile]

    @property
    def accompaniment(self) -> tuple[str, ...]:
        """The stems whose sum is the accompaniment; empty where they are not all there."""
        if ACCOMPANIMENT in self.stems:
            return (ACCOMPANIMENT,)
        return INSTRUMENTS if all(name in self.stems for name in INSTRUMENTS) else ()

    def parts(self, stem: str) -> tuple[str, ...]:
        """Return the names of the files whose sum is ``stem``; empty where it cannot be had."""
        if stem in self.stems:
            return (stem,)
        return self.accompaniment if stem == ACCOMPANIMENT else ()

    def read(self, stem: str, start: int, length: int, sample_rate: int, channels: int) -> Samples:
        """Return ``[channels, length]`` of a stem; arguments as ``StemFile.read``."""
        return mix(
            self.stems[name].read(start, length, sample_rate, channels) for name in self.parts(stem)
        )


def with_channels(samples: Samples, channels: int) -> Samples:
    """Return ``[channels, N]``: mono repeated, the same kept, all else averaged to mono first."""
    if samples.shape[0] == channels:
        return samples
    return np.repeat(samples.mean(0, keepdims=True), channels, 0)


def mix(parts: Iterable[Samples]) -> Samples:
    """Return the sum of equally long samples."""
    total: Samples = np.sum(list(parts), axis=0, dtype=np.float32)
    return total
