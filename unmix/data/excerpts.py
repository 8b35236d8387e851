"""Random excerpts of stems, at a playing speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .._types import Samples
from ..audio import resample
from ..errors import AudioError
from .tracks import StemFile, Term, is_silence, mix, signed

# Quieter excerpts are drawn again a few times, since half of a vocal track can be silence.
_SILENCE = 10 ** (-45 / 20)
_TRIES = 4


@dataclass(frozen=True)
class ExcerptReader:
    """Reads excerpts ``[channels, length]`` at ``sample_rate`` Hz."""

    sample_rate: int
    channels: int
    length: int

    def __call__(
        self, stems: Sequence[Sequence[Term]], speed: float, random: Generator
    ) -> list[Samples]:
        """Return an excerpt of each stem at one position, preferably where the first one sounds.

        Args:
            stems: for each stem, the files that sum to it; all of one track.
            speed: speed factor: 1.1 is ten per cent faster and higher.
            random: decides the position.

        Raises:
            AudioError: a file cannot be read, or the first one is silent throughout.
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
                raise AudioError(f"{first.path} is silent throughout; exclude it")
        read = {first: samples}
        for term in (term for terms in stems for term in terms):
            if term.file not in read:
                read[term.file] = self._read(term.file, start, span)
        return [
            _stretch(mix(signed(read[term.file], term.sign) for term in terms), self.length)
            for terms in stems
        ]

    def _start(self, file: StemFile, span: int, random: Generator) -> int:
        """Return a random start; negative if the file is too short, for random padding."""
        spare = file.length_at(self.sample_rate) - span
        return int(random.integers(min(spare, 0), max(spare, 0) + 1))

    def _read(self, file: StemFile, start: int, span: int) -> Samples:
        before = max(0, -start)
        samples = file.read(max(start, 0), span - before, self.sample_rate, self.channels)
        return np.pad(samples, ((0, 0), (before, 0)))


def rms(samples: Samples) -> float:
    """Return the root mean square over channels and samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _stretch(samples: Samples, length: int) -> Samples:
    """Return ``samples`` resampled to ``[C, length]``.

    Linear interpolation would take half the time, 3 ms for 2.8 s of stereo, but leaves strong
    aliases: 14 kHz of a cymbal is mirrored at the sample rate minus 14 kHz, only 13 dB lower.
    """
    return resample(samples, samples.shape[1], length, quality="HQ")
