"""Excerpts: short pieces of stems, cut at a random place, at a random playing speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .._types import Samples
from ..audio import resample
from ..errors import AudioError
from .tracks import StemFile, Term, is_silence, mix, signed

# An excerpt quieter than this is drawn again a few times: half of a vocal track can be silence.
_SILENCE = 10 ** (-45 / 20)
_TRIES = 4


@dataclass(frozen=True)
class ExcerptReader:
    """Cuts excerpts ``[channels, length]`` at ``sample_rate`` Hz."""

    sample_rate: int
    channels: int
    length: int

    def __call__(
        self, stems: Sequence[Sequence[Term]], speed: float, random: Generator
    ) -> list[Samples]:
        """Return one excerpt per stem, all from the same place, preferably with sound in the first.

        Args:
            stems: for each stem, the files that sum to it; all of one track.
            speed: 1.1 plays ten per cent faster and higher.
            random: decides the place.

        Raises:
            AudioError: for a file that cannot be read, or a first one without any sound.
        """
        first = stems[0][0].file
        span = round(self.length * speed)
        for _ in range(_TRIES):
            start = self._start(first, span, random)
            samples = self._read(first, start, span)
            if rms(samples) > _SILENCE:
                break
        else:
            if is_silence(samples) and first.is_silent():
                raise AudioError(f"{first.path} is silent from beginning to end: leave it out")
        read = {first: samples}
        for term in (term for terms in stems for term in terms):
            if term.file not in read:
                read[term.file] = self._read(term.file, start, span)
        return [
            _stretch(mix(signed(read[term.file], term.sign) for term in terms), self.length)
            for terms in stems
        ]

    def _start(self, file: StemFile, span: int, random: Generator) -> int:
        """Return where to cut; below zero where the file is too short, to place it anywhere."""
        spare = file.length_at(self.sample_rate) - span
        return int(random.integers(min(spare, 0), max(spare, 0) + 1))

    def _read(self, file: StemFile, start: int, span: int) -> Samples:
        before = max(0, -start)
        samples = file.read(max(start, 0), span - before, self.sample_rate, self.channels)
        return np.pad(samples, ((0, 0), (before, 0)))


def rms(samples: NDArray[np.float32]) -> float:
    """Return the root mean square over channels and samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _stretch(samples: Samples, length: int) -> Samples:
    """Return ``[C, length]`` that plays all of ``samples``.

    Resampled as recordings are. Straight lines between neighbours take half the time, 3 ms of 2.8 s
    in stereo, but leave an image of every frequency f at the sample rate less f: of a cymbal's 14
    kHz, 13 dB below it.
    """
    return resample(samples, samples.shape[1], length, quality="HQ")
