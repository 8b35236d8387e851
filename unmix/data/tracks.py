"""A track: one song, with its stems on disk. Nothing is decoded before it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._types import Samples
from ..audio import open_audio, probe, read_excerpt, resample
from ..errors import AudioError
from ..stems import ACCOMPANIMENT, INSTRUMENTS, VOCALS, in_order
from .tempo_key import UNKNOWN, TempoKey

MIXTURE = "mixture"
#: Called with the fraction that is done, in [0, 1], and the name of the track that comes next.
TrackProgress = Callable[[float, str], object]
#: A file that never gets louder is silent: what an encoder makes of zeros stays far below.
SILENCE = 1e-4


@dataclass(frozen=True)
class StemFile:
    """One stem of a track: where it is and what its header says."""

    path: Path
    sample_rate: int
    """Hz."""
    length: int
    """Samples per channel."""
    channels: int
    """Of this stem."""
    stream: int | None = None
    """Which audio stream of a file with several, from 0."""
    channel: int | None = None
    """Which channel of a file that holds a stem in each, from 0."""
    exact: bool = True
    """Whether the length is counted; an MP3 without a count has a guess."""

    @classmethod
    def open(cls, path: Path, *, stream: int | None = None, channel: int | None = None) -> StemFile:
        """Read a file's header.

        Raises:
            AudioError: for a file that cannot be read, does not say its length, or has no such
                stream or channel.
        """
        info = probe(path, stream=stream)
        if info.length is None:
            raise AudioError(f"{path}: does not say how long it is; convert it to wav or flac")
        if info.length == 0:
            raise AudioError(f"{path}: holds no sound")
        if channel is not None and info.channels != 2:
            raise AudioError(f"{path}: holds {info.channels} channels, not a stem in each of two")
        return cls(
            path=path,
            sample_rate=info.sample_rate,
            length=info.length,
            channels=info.channels if channel is None else 1,
            stream=stream,
            channel=channel,
            exact=not info.length_is_estimate,
        )

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.length / self.sample_rate

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

        Raises:
            AudioError: for a file that cannot be read, or of which most of the excerpt is missing.
        """
        first = start * self.sample_rate // sample_rate
        count = -(-length * self.sample_rate // sample_rate)
        samples = self.decode(first, count)
        promised = min(first + count, self.length) - first
        if self.exact and samples.shape[1] < promised // 2:
            raise AudioError(f"{self.path} is cut short or damaged: get the file again")
        if self.sample_rate != sample_rate:
            samples = resample(samples, self.sample_rate, sample_rate)
        samples = with_channels(samples, channels)[:, :length]
        return np.pad(samples, ((0, 0), (0, length - samples.shape[1])))

    def decode(self, first: int, count: int) -> Samples:
        """Return samples ``[C, count]`` at the file's own rate; fewer where it ends before."""
        try:
            samples = read_excerpt(self.path, first, count, stream=self.stream)
        except (OSError, RuntimeError, EOFError) as error:
            raise AudioError(f"{self.path} is damaged: {error}") from error
        return self._one_stem(samples)

    def blocks(self, *, strict: bool = False) -> Iterator[Samples]:
        """Yield all samples as blocks ``[C, n]`` at the file's own rate.

        Args:
            strict: whether samples that are not numbers are an error; else they are 0.

        Raises:
            AudioError: at the end, where parts of the file did not decode.
        """
        with open_audio(self.path, stream=self.stream) as reader:
            for block in reader.blocks():
                yield self._one_stem(block)
            if not reader.complete or (strict and reader.repaired):
                # The reader's sentences begin with the file's name.
                raise AudioError(f"{self.path.parent}/{reader.warnings[-1]}")

    def is_silent(self) -> bool:
        """Return whether nothing in the file sounds; decodes it up to the first sound."""
        return _is_silent(self)

    def _one_stem(self, samples: Samples) -> Samples:
        return samples if self.channel is None else samples[self.channel : self.channel + 1]


@lru_cache(maxsize=4096)
def _is_silent(file: StemFile) -> bool:
    return all(is_silence(block) for block in file.blocks())


class Term(NamedTuple):
    """A file that is added to a sum, or subtracted from it."""

    file: StemFile
    sign: int


@dataclass(frozen=True)
class Track:
    """A song with its stems, by name."""

    name: str
    stems: dict[str, StemFile]
    tempo_key: TempoKey = UNKNOWN
    """Its tempo and key, if they have been estimated."""

    @property
    def seconds(self) -> float:
        """Length of the longest stem in seconds."""
        return max(file.seconds for file in self.stems.values())

    @property
    def derived(self) -> tuple[str, ...]:
        """The usual stems that have no file, but follow from those that have."""
        wanted = (VOCALS, ACCOMPANIMENT, *INSTRUMENTS, MIXTURE)
        return tuple(stem for stem in wanted if stem not in self.stems and self.terms(stem))

    @property
    def accompaniment(self) -> tuple[str, ...]:
        """The stems whose sum is the accompaniment; empty where they are not all there.

        Without drums, bass and other nobody knows whether the files are all that plays.
        """
        if ACCOMPANIMENT in self.stems:
            return (ACCOMPANIMENT,)
        if not all(name in self.stems for name in INSTRUMENTS):
            return ()
        return in_order(set(self.stems) - {VOCALS, MIXTURE})

    def parts(self, stem: str) -> tuple[str, ...]:
        """Return the names of the files whose sum is ``stem``; empty where there are none."""
        if stem in self.stems:
            return (stem,)
        if stem == ACCOMPANIMENT:
            return self.accompaniment
        if stem == MIXTURE and VOCALS in self.stems and self.accompaniment:
            return (VOCALS, *self.accompaniment)
        return ()

    def terms(self, stem: str, without: Sequence[str] = ()) -> tuple[Term, ...]:
        """Return what sums to ``stem``, less other stems in it; empty where it cannot be had.

        Sums of files come first. Where they do not do, the stem is what remains of the mixture or
        of the accompaniment, and holds whatever a mastered mixture has beyond the sum of its stems.
        """
        parts = self.parts(stem)
        if parts and all(name in parts for name in without):
            return tuple(Term(self.stems[name], 1) for name in parts if name not in without)
        whole = tuple(Term(self.stems[name], 1) for name in parts) or self._residual_terms(stem)
        removed = [self.stems.get(name) for name in without]
        if not whole or None in removed:
            return ()
        return (*whole, *(Term(file, -1) for file in removed if file))

    def _residual_terms(self, stem: str) -> tuple[Term, ...]:
        """Return a stem without a file as what the others leave of a sum that has one."""
        if stem == ACCOMPANIMENT:
            return self._left_of(MIXTURE, (VOCALS,))
        if stem == VOCALS:
            return self._left_of(MIXTURE, self.accompaniment)
        others = tuple(name for name in INSTRUMENTS if name != stem)
        if stem not in INSTRUMENTS or not all(name in self.stems for name in others):
            return ()
        others = in_order(set(self.stems) - {VOCALS, MIXTURE, ACCOMPANIMENT})
        return self._left_of(ACCOMPANIMENT, others) or self._left_of(MIXTURE, (VOCALS, *others))

    def _left_of(self, whole: str, others: Sequence[str]) -> tuple[Term, ...]:
        if whole not in self.stems or not others or not all(name in self.stems for name in others):
            return ()
        return (Term(self.stems[whole], 1), *(Term(self.stems[name], -1) for name in others))

    def read(self, stem: str, start: int, length: int, sample_rate: int, channels: int) -> Samples:
        """Return ``[channels, length]`` of a stem; arguments as ``StemFile.read``."""
        return mix(
            signed(term.file.read(start, length, sample_rate, channels), term.sign)
            for term in self.terms(stem)
        )


def common_stems(tracks: Iterable[Track]) -> set[str]:
    """Return the stems, and the mixture, that every track has or that follow from its files."""
    return set.intersection(*({*track.stems, *track.derived} for track in tracks))


def with_channels(samples: Samples, channels: int) -> Samples:
    """Return ``[channels, N]``: mono repeated, the same kept, all else averaged to mono first."""
    if samples.shape[0] == channels:
        return samples
    return np.repeat(samples.mean(0, keepdims=True), channels, 0)


def signed(samples: Samples, sign: int) -> Samples:
    """Return the samples, or their negative where the sign is -1."""
    return samples if sign > 0 else -samples


def is_silence(samples: Samples) -> bool:
    """Return whether none of the samples is as loud as ``SILENCE``."""
    return float(np.abs(samples).max(initial=0)) < SILENCE


def mix(parts: Iterable[Samples]) -> Samples:
    """Return the sum of equally long samples."""
    total: Samples = np.sum(list(parts), axis=0, dtype=np.float32)
    return total
