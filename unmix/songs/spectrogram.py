"""A spectrogram of bounded size, pooled while the samples stream past."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._types import Samples
from ..audio.libraries import import_librosa

_COLUMNS = 1000  # of a song that is long enough; at most twice as many
_SEMITONE_THIRD = 2 ** (1 / 36)  # ratio of neighbouring rows, where bins are not wider apart


class PooledSpectrogram:
    """Magnitudes over frequency and time; each column holds the peaks of some frames.

    When there are too many columns, every two become one: memory does not grow with the song.

    Args:
        n_fft: window length in samples.
    """

    def __init__(self, n_fft: int) -> None:
        self._n_fft = n_fft
        self._bins = _row_edges(n_fft)
        self._pooled = 1  # frames in a column
        self._columns = np.zeros((len(self._bins), 2 * _COLUMNS), np.float32)
        self._count = 0
        self._frames = np.zeros((len(self._bins), 0), np.float32)  # less than a column
        self._samples: Samples | None = None  # [C, n], less than a window

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Middle of each row, as a fraction of the sample rate."""
        ends = np.append(self._bins[1:], self._n_fft // 2 + 1)
        middles: NDArray[np.float64] = (self._bins + ends - 1) / 2 / self._n_fft
        return middles

    @property
    def hop_length(self) -> int:
        """Samples between columns."""
        return self._n_fft // 4 * self._pooled

    def push(self, samples: Samples) -> None:
        """Add samples ``[C, n]``."""
        if self._samples is None:
            # Centres the first window on the first sample.
            self._samples = np.zeros((samples.shape[0], self._n_fft // 2), np.float32)
        for start in range(0, samples.shape[1], 1 << 16):
            piece = samples[:, start : start + (1 << 16)]
            self._transform(np.concatenate([self._samples, piece], axis=1))

    def finish(self) -> Samples:
        """Return the columns ``[F, T]``, T >= 2."""
        if self._samples is not None:
            self._transform(np.pad(self._samples, ((0, 0), (0, self._n_fft // 2 + 1))))
        if self._frames.shape[1]:
            self._pool(np.zeros((len(self._frames), -self._frames.shape[1] % self._pooled)))
        return self._columns[:, : max(self._count, 2)]

    def _transform(self, samples: Samples) -> None:
        hop = self._n_fft // 4
        count = max(0, 1 + (samples.shape[1] - self._n_fft) // hop)
        self._samples = samples[:, count * hop :]
        if count:
            frames = import_librosa().stft(samples, n_fft=self._n_fft, hop_length=hop, center=False)
            # The mean power of the channels: out of phase, they do not cancel.
            power = np.mean(np.abs(frames) ** 2, axis=0)
            self._pool(np.sqrt(np.maximum.reduceat(power, self._bins, axis=0)))

    def _pool(self, magnitude: NDArray[np.floating]) -> None:
        frames = np.concatenate([self._frames, magnitude], axis=1)
        most = self._columns.shape[1]
        while frames.shape[1] >= self._pooled:
            room = most - self._count
            fresh = min(frames.shape[1] // self._pooled, room)
            taken = frames[:, : fresh * self._pooled].reshape(len(frames), fresh, self._pooled)
            self._columns[:, self._count : self._count + fresh] = taken.max(axis=2)
            self._count += fresh
            frames = frames[:, fresh * self._pooled :]
            if self._count == most:
                halves = self._columns.reshape(len(frames), most // 2, 2).max(axis=2)
                self._columns[:, : most // 2] = halves
                self._count = most // 2
                self._pooled *= 2
        self._frames = frames.astype(np.float32)


def _row_edges(n_fft: int) -> NDArray[np.int64]:
    """Return the first bin of each row: evenly spaced in pitch, as far as there are bins."""
    top = n_fft // 2
    count = 1 + round(np.log(top) / np.log(_SEMITONE_THIRD))
    return np.unique(np.geomspace(1, top, count).round().astype(np.int64))
