"""Tracks: songs with their stems on disk, decoded on demand."""

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
from ..stems import ACCOMPANIMENT, INSTRUMENTS, MIXTURE, VOCALS, in_order
from .tempo_key import UNKNOWN, TempoKey

#: Called with the fraction that is done, in [0, 1], and the name of the track that comes next.
TrackProgress = Callable[[float, str], object]
#: Peak below which a file is silent; encoded zeros stay far below it.
SILENCE = 1e-4


@dataclass(frozen=True)
class StemFile:
    """The file of one stem, with the properties in its header."""

    path: Path
    sample_rate: int
    """Hz."""
    length: int
    """Samples per channel."""
    channels: int
    """Audio channels of this stem."""
    stream: int | None = None
    """Index of the audio stream, for a file with several."""
    channel: int | None = None
    """Index of the channel, for a file with a stem in each channel."""
    exact: bool = True
    """Whether the length is exact; for some MP3 files it is estimated."""

    @classmethod
    def open(cls, path: Path, *, stream: int | None = None, channel: int | None = None) -> StemFile:
        """Read a file's header.

        Raises:
            AudioError: the file cannot be read, does not state its length, or has no such stream
                or channel.
        """
        info = probe(path, stream=stream)
        if info.length is None:
            raise AudioError(f"{path}: its length is unknown; convert it to wav or flac")
        if info.length == 0:
            raise AudioError(f"{path}: contains no audio")
        if channel is not None and info.channels != 2:
            raise AudioError(
                f"{path}: has {info.channels} channels; expected 2, with a stem in each"
            )
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
        """Return the length in samples at ``sample_rate`` Hz."""
        return self.length * sample_rate // self.sample_rate

    def read(self, start: int, length: int, sample_rate: int, channels: int) -> Samples:
        """Return an excerpt ``[channels, length]`` at ``sample_rate`` Hz, zero-padded at the end.

        Args:
            start: first sample, at ``sample_rate``.
            length: number of samples, at ``sample_rate``.
            sample_rate: sample rate in Hz.
            channels: audio channels; mono is repeated, other counts are averaged to mono first.

        Raises:
            AudioError: the file cannot be read, or ends before half of the excerpt.
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
        """Return samples ``[C, count]`` at the file's own rate, fewer if it ends before."""
        try:
            samples = read_excerpt(self.path, first, count, stream=self.stream)
        except (OSError, RuntimeError, EOFError) as error:
            raise AudioError(f"{self.path} is damaged: {error}") from error
        return self._one_stem(samples)

    def blocks(self, *, strict: bool = False) -> Iterator[Samples]:
        """Yield all samples as blocks ``[C, n]`` at the file's own rate.

        Args:
            strict: whether samples that are not finite are an error; otherwise they become 0.

        Raises:
            AudioError: at the end, if parts of the file did not decode.
        """
        with open_audio(self.path, stream=self.stream) as reader:
            for block in reader.blocks():
                yield self._one_stem(block)
            if not reader.complete or (strict and reader.repaired):
                # The warnings of the reader start with the name of the file.
                sentence = (reader.shortfalls or reader.warnings)[-1]
                raise AudioError(f"{self.path.parent}/{sentence}")

    def is_silent(self) -> bool:
        """Return whether the file is silent; decodes it up to the first sound."""
        return _is_silent(self)

    def _one_stem(self, samples: Samples) -> Samples:
        return samples if self.channel is None else samples[self.channel : self.channel + 1]


@lru_cache(maxsize=4096)
def _is_silent(file: StemFile) -> bool:
    return all(is_silence(block) for block in file.blocks())


class Term(NamedTuple):
    """A file that is added to a sum (sign 1) or subtracted from it (-1)."""

    file: StemFile
    sign: int


@dataclass(frozen=True)
class Track:
    """A song with its stems."""

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
        """The usual stems that have no file but can be computed from those that do."""
        wanted = (VOCALS, ACCOMPANIMENT, *INSTRUMENTS, MIXTURE)
        return tuple(stem for stem in wanted if stem not in self.stems and self.terms(stem))

    @property
    def accompaniment(self) -> tuple[str, ...]:
        """The stems whose sum is the accompaniment; empty if unknown.

        Unless there are drums, bass and other, instruments may be missing.
        """
        if ACCOMPANIMENT in self.stems:
            return (ACCOMPANIMENT,)
        if not all(name in self.stems for name in INSTRUMENTS):
            return ()
        return in_order(set(self.stems) - {VOCALS, MIXTURE})

    def parts(self, stem: str) -> tuple[str, ...]:
        """Return the stems with a file whose sum is ``stem``; empty if there are none."""
        if stem in self.stems:
            return (stem,)
        if stem == ACCOMPANIMENT:
            return self.accompaniment
        if stem == MIXTURE and VOCALS in self.stems and self.accompaniment:
            return (VOCALS, *self.accompaniment)
        return ()

    def terms(self, stem: str, without: Sequence[str] = ()) -> tuple[Term, ...]:
        """Return the files that sum to ``stem`` without other stems; empty if there are none.

        Sums of files are preferred. Otherwise the stem is a residual of the mixture or of the
        accompaniment, and includes whatever mastering has added to the sum of the stems.
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
        """Return a stem as the residual of a file that includes it."""
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
        """Return an excerpt ``[channels, length]`` of a stem; arguments as in ``StemFile.read``."""
        return mix(
            signed(term.file.read(start, length, sample_rate, channels), term.sign)
            for term in self.terms(stem)
        )


def common_stems(tracks: Iterable[Track]) -> set[str]:
    """Return the stems, mixture included, that every track has or can compute."""
    return set.intersection(*({*track.stems, *track.derived} for track in tracks))


def with_channels(samples: Samples, channels: int) -> Samples:
    """Return ``[channels, N]``; mono is repeated, other counts are averaged to mono first."""
    if samples.shape[0] == channels:
        return samples
    return np.repeat(samples.mean(0, keepdims=True), channels, 0)


def signed(samples: Samples, sign: int) -> Samples:
    """Return the samples, negated if ``sign`` is -1."""
    return samples if sign > 0 else -samples


def is_silence(samples: Samples) -> bool:
    """Return whether all samples are below ``SILENCE``."""
    return float(np.abs(samples).max(initial=0)) < SILENCE


def mix(parts: Iterable[Samples]) -> Samples:
    """Return the sum of equally long samples."""
    total: Samples = np.sum(list(parts), axis=0, dtype=np.float32)
    return total
