"""A track's mixture and references, brought to the rate they are scored at, on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np

from .._types import Samples
from ..audio.resample import Resampler
from ..data import StemFile, Track
from ..data.tracks import MIXTURE, Term, with_channels
from ..errors import UnmixError
from .datasets import Dataset
from .signals import Signals

REFERENCE = "reference "
# Files that give back what went in. All others are rounded to 16 bits once they are decoded.
_LOSSLESS = frozenset((".wav", ".flac", ".aiff", ".aif", ".i16"))
_STEPS = 1 << 15


def write_references(track: Track, dataset: Dataset, stems: Sequence[str], folder: Path) -> Signals:
    """Return a track's mixture, under that name, and its references, each as ``REFERENCE + stem``.

    The mixture is the track's own, or the sum of its stems. Stems that were decoded from a lossy
    format are rounded to 16 bits, as musdb's reader does. It is not about size: above the band of
    the codec they hold nothing at all, so that most distortion filters explain them equally well,
    and ISR, SIR and SAR would be figures of rounding errors.

    Args:
        track: has all of the stems, or what they follow from.
        dataset: at which rate, with how many channels, at what level.
        stems: names of the references.
        folder: for the signals, empty.

    Raises:
        AudioError: for a file that cannot be read, not to its end, or holds what is no number.
        UnmixError: for stems of different rates, which no data set has.
    """
    files = list(track.stems.values())
    rates = {file.sample_rate for file in files}
    if dataset.sample_rate is None and len(rates) > 1:
        raise UnmixError(
            f"{files[0].path.parent}: has stems of {len(rates)} sample rates, "
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
    """Yield a sum of files, as long as the longest of them, in blocks of one size.

    Args:
        terms: the files.
        rate: Hz of the blocks.
        channels: of the blocks.
        gain: what the sum is multiplied by.
        rounded: whether lossy files are rounded to 16 bits once they are decoded.
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
    """Yield the same samples in blocks of one size, the last one shorter: those of files that are
    added up must start together.
    """
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
