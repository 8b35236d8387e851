"""Streaming resampling by libsoxr: aligned, and of exact length."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
import soxr

from .._types import Samples

SoxrQuality = Literal["HQ", "VHQ"]


def resampled_length(length: int, from_rate: int, to_rate: int) -> int:
    """Return the count of samples at another rate, rounded to the nearest integer."""
    return round(Fraction(length * to_rate, from_rate))


class Resampler:
    """Resamples a stream of blocks; if the rates are equal, they pass through unchanged.

    The output has no delay, does not depend on how the input is cut into blocks, and is exactly
    ``resampled_length`` samples long after ``finish``.
    """

    def __init__(
        self, from_rate: int, to_rate: int, channels: int, *, quality: SoxrQuality = "VHQ"
    ) -> None:
        """Start a stream.

        Args:
            from_rate: sample rate of the input in Hz.
            to_rate: sample rate of the output in Hz.
            channels: count of audio channels.
            quality: libsoxr's "HQ" (20 bits) or "VHQ" (28 bits).

        Raises:
            ValueError: a rate or the count of channels is not positive.
        """
        if from_rate < 1 or to_rate < 1 or channels < 1:
            raise ValueError(
                f"rates and channels must be positive, got {from_rate} Hz, {to_rate} Hz, {channels}"
            )
        self.from_rate = from_rate
        self.to_rate = to_rate
        self.channels = channels
        self._taken = 0
        self._given = 0
        self._stream = (
            None
            if from_rate == to_rate
            else soxr.ResampleStream(from_rate, to_rate, channels, "float32", quality)
        )

    def push(self, block: Samples) -> Samples:
        """Add a block ``[C, n]``; return the samples that are final by now, perhaps none.

        Raises:
            ValueError: the block has another shape.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected samples [{self.channels}, n], got {block.shape}")
        self._taken += block.shape[1]
        if self._stream is None or block.shape[1] == 0:
            return block if self._stream is None else self._empty()
        return self._given_out(self._run(block, last=False))

    def finish(self) -> Samples:
        """End the stream; return the rest of the output."""
        if self._stream is None or self._taken == 0:
            return self._empty()
        rest = self._run(self._empty(), last=True)
        missing = resampled_length(self._taken, self.from_rate, self.to_rate) - self._given
        if missing > rest.shape[1]:
            rest = np.pad(rest, ((0, 0), (0, missing - rest.shape[1])))
        return self._given_out(np.ascontiguousarray(rest[:, :missing]))

    def _run(self, block: Samples, *, last: bool) -> Samples:
        assert self._stream is not None
        interleaved = np.ascontiguousarray(block.T, dtype=np.float32)
        return np.ascontiguousarray(self._stream.resample_chunk(interleaved, last=last).T)

    def _given_out(self, block: Samples) -> Samples:
        self._given += block.shape[1]
        return block

    def _empty(self) -> Samples:
        return np.zeros((self.channels, 0), np.float32)


def resample(
    samples: Samples, from_rate: int, to_rate: int, *, quality: SoxrQuality = "VHQ"
) -> Samples:
    """Resample samples ``[C, N]`` in one go; see ``Resampler``.

    Returns:
        Samples ``[C, resampled_length(N, from_rate, to_rate)]``, float32.

    Raises:
        ValueError: ``samples`` is not ``[C, N]``.
    """
    if samples.ndim != 2:
        raise ValueError(f"expected samples [channel, sample], got {samples.shape}")
    stream = Resampler(from_rate, to_rate, samples.shape[0], quality=quality)
    return np.concatenate([stream.push(samples), stream.finish()], axis=1)
