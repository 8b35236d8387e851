"""Signals of one track on disk: mixture, references and estimates.

Scoring passes over them several times. A song of an hour with two stems is two and a half gigabytes
as 32-bit floats: too much for memory, little for a disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .._types import Samples
from ..audio.resample import Resampler
from ..data import StemFile, Track
from ..data.tracks import MIXTURE, Term, with_channels
from ..errors import UnmixError
from .datasets import Dataset

#: Prefix of references among the signals of a track, before the stem.
REFERENCE = "reference "
# All others are rounded to 16 bits once they are decoded.
_LOSSLESS = frozenset((".wav", ".flac", ".aiff", ".aif", ".i16"))
_STEPS = 1 << 15
_BLOCK = 1 << 18
_BYTES = 4


class Signals:
    """Named signals of one length, as raw 32-bit floats in a folder.

    Args:
        folder: an existing folder, for these signals alone.
        audio_channels: C, of every signal.
        sample_rate: Hz.
    """

    def __init__(self, folder: Path, audio_channels: int, sample_rate: int) -> None:
        self.folder = folder
        self.audio_channels = audio_channels
        self.sample_rate = sample_rate
        self.length = 0
        """Samples per channel, of the longest signal."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.length / self.sample_rate

    def write(self, name: str, blocks: Iterable[Samples]) -> None:
        """Write a signal from blocks ``[C, n]``."""
        self.write_all((name,), ({name: block} for block in blocks))

    def write_all(self, names: Sequence[str], pieces: Iterable[Mapping[str, Samples]]) -> None:
        """Write several signals from pieces ``[C, n]`` by name."""
        files = {name: self._path(name).open("wb") for name in names}
        try:
            for piece in pieces:
                for name, file in files.items():
                    file.write(np.ascontiguousarray(piece[name].T, np.float32).tobytes())
        finally:
            for file in files.values():
                file.close()
        self.length = max([self.length, *map(self._length, names)])

    def read(self, name: str, start: int = 0, count: int | None = None) -> Samples:
        """Return samples ``[C, count]`` of a signal, with zeros after its end; default: all."""
        count = self.length - start if count is None else count
        frame = _BYTES * self.audio_channels
        wanted = max(0, min(count, self._length(name) - start))
        found = np.fromfile(
            self._path(name), np.float32, wanted * self.audio_channels, offset=start * frame
        )
        samples = found.reshape(-1, self.audio_channels).T
        return np.pad(samples, ((0, 0), (0, count - samples.shape[1])))

    def blocks(self, names: Sequence[str], size: int = _BLOCK) -> Iterator[dict[str, Samples]]:
        """Yield the signals in blocks ``[C, n]`` of at most ``size`` samples."""
        for start in range(0, self.length, size):
            count = min(size, self.length - start)
            yield {name: self.read(name, start, count) for name in names}

    def remove(self) -> None:
        """Remove all signals from the disk."""
        for path in self.folder.glob("*.f32"):
            path.unlink()

    def _length(self, name: str) -> int:
        return self._path(name).stat().st_size // (_BYTES * self.audio_channels)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.f32"


@dataclass(frozen=True)
class Estimated:
    """One system's estimates of one track, on disk, beside its references."""

    system: str
    track: str
    stems: tuple[str, ...]
    """Stems that the system estimates."""
    context: tuple[str, ...]
    """All stems that have references."""
    references: Signals
    """The mixture and all references."""
    estimates: Signals

    def estimate(self, stem: str, start: int, count: int) -> Samples:
        """Return samples ``[C, count]`` of an estimate.

        For a stem that the system does not estimate, return the reference: BSS Eval needs all
        stems, but the figures of the others do not depend on this one.
        """
        if stem in self.stems:
            return self.estimates.read(stem, start, count)
        return self.references.read(REFERENCE + stem, start, count)

    def pairs(self, stems: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield estimates and references ``[S, C, n]``, block by block."""
        return self._held_against(stems, lambda *where: [self.estimate(s, *where) for s in stems])

    def floor(self, stems: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the same, with the mixture as the estimate of every stem."""
        return self._held_against(
            stems, lambda *where: [self.references.read(MIXTURE, *where)] * len(stems)
        )

    def _held_against(
        self, stems: Sequence[str], estimates: Callable[[int, int], list[Samples]]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, self.references.length, _BLOCK):
            count = min(_BLOCK, self.references.length - start)
            references = [self.references.read(REFERENCE + s, start, count) for s in stems]
            yield _stacked(estimates(start, count)), _stacked(references)


def write_references(track: Track, dataset: Dataset, stems: Sequence[str], folder: Path) -> Signals:
    """Write a track's mixture, and its references under the names ``REFERENCE + stem``.

    The mixture is the track's own, or the sum of its stems. Stems that were decoded from a lossy
    format are rounded to 16 bits, as musdb's reader does: above the band of the codec they hold
    only rounding errors, to which BSS Eval would otherwise fit its filters.

    Args:
        track: the track; it must have all of the stems, or others to compute them from.
        dataset: data set that decides rate, channels and gain.
        stems: names of the references.
        folder: empty folder for the signals.

    Raises:
        AudioError: a file cannot be read to its end, or holds NaN.
        UnmixError: the stems have different rates.
    """
    files = list(track.stems.values())
    rates = {file.sample_rate for file in files}
    if dataset.sample_rate is None and len(rates) > 1:
        raise UnmixError(
            f"{files[0].path.parent}: stems have {len(rates)} sample rates, "
            f"{' and '.join(map(str, sorted(rates)))} Hz; convert them to one"
        )
    rate = dataset.sample_rate or rates.pop()
    channels = dataset.audio_channels or max(file.channels for file in files)
    signals = Signals(folder, channels, rate)
    for name, terms in [(MIXTURE, track.terms(MIXTURE))] + [
        (REFERENCE + stem, track.terms(stem)) for stem in stems
    ]:
        signals.write(name, sum_blocks(terms, rate, channels, gain=dataset.gain))
    return signals


def sum_blocks(
    terms: Sequence[Term], rate: int, channels: int, *, gain: float = 1.0, rounded: bool = True
) -> Iterator[Samples]:
    """Yield the sum of files, as long as the longest, in blocks of one size.

    Args:
        terms: the files.
        rate: Hz of the blocks.
        channels: of the blocks.
        gain: factor of the sum.
        rounded: round decoded lossy files to 16 bits.
    """
    streams = [_even(_blocks(term.file, rate, channels, rounded)) for term in terms]
    signs = [term.sign * gain for term in terms]
    for blocks in zip_longest(*streams):
        length = max(block.shape[1] for block in blocks if block is not None)
        total = np.zeros((channels, length), np.float32)
        for sign, block in zip(signs, blocks, strict=True):
            if block is not None:
                total[:, : block.shape[1]] += np.float32(sign) * block
        yield total


def _blocks(file: StemFile, rate: int, channels: int, rounded: bool) -> Iterator[Samples]:
    """Yield a file in blocks ``[channels, n]`` at a rate."""
    resampler = Resampler(file.sample_rate, rate, channels)
    lossless = not rounded or file.path.suffix.lower() in _LOSSLESS
    for block in file.blocks(strict=True):
        decoded = block if lossless else _rounded(block)
        yield resampler.push(with_channels(decoded, channels))
    yield resampler.finish()


def _rounded(samples: Samples) -> Samples:
    steps = np.clip(np.round(samples * _STEPS), -_STEPS, _STEPS - 1)
    return (steps / _STEPS).astype(np.float32)


def _even(blocks: Iterator[Samples], size: int = 1 << 17) -> Iterator[Samples]:
    """Yield the samples in blocks of one size, so that the blocks of several files line up."""
    held: list[Samples] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.shape[1]
        if count < size:
            continue
        joined = np.concatenate(held, 1)
        while joined.shape[1] >= size:
            yield joined[:, :size]
            joined = joined[:, size:]
        held, count = [joined], joined.shape[1]
    if count:
        yield np.concatenate(held, 1)


def _stacked(signals: Sequence[Samples]) -> Tensor:
    return torch.from_numpy(np.stack(signals))
