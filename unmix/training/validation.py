"""Validation of a model in training on whole tracks, separated as users separate them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from .._types import Samples
from ..data import STEMS, Track, find_tracks
from ..errors import AudioError, UnmixError
from ..metrics import sdr
from ..models import Model
from ..separation.separator import RecordingSeparator
from ..stems import ACCOMPANIMENT, MIXTURE, VOCALS

# Seconds of the excerpt for TensorBoard.
_SHOWN = 8.0

_Made = TypeVar("_Made")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ValidationExample:
    """A mixture and its references, at the sample rate of a model."""

    mixture: Samples
    """``[C, N]``."""
    references: dict[str, Samples]
    """The known stems by name, ``[C, N]`` each."""


class TrackValidator:
    """Separates all tracks of some folders and returns the mean whole-track SDR of each stem.

    Args:
        folders: folders of tracks with a file per stem.
        stems: names of files that are stems, besides the usual ones; those of the model.

    Raises:
        UnmixError: there is no track, a file cannot be opened, or a track has no mixture.
    """

    def __init__(self, folders: Sequence[Path], stems: Sequence[str] = ()) -> None:
        names = tuple(dict.fromkeys((*STEMS, *stems)))
        self._tracks = [track for folder in folders for track in find_tracks(folder, names)]
        for track in self._tracks:
            _summed(track)

    def __call__(self, model: Model) -> dict[str, float]:
        """Return the mean SDR over tracks in dB by stem, without silent references.

        Tracks that do not decode are skipped with a warning.

        Raises:
            UnmixError: no track can be decoded, or all references are silent.
        """
        separator = RecordingSeparator(
            model, device=str(next(model.parameters()).device), quality="fast"
        )
        scores: dict[str, list[float]] = {}
        for of_track in self._of_each(lambda track: _scores(separator, track)):
            for stem, value in of_track.items():
                scores.setdefault(stem, []).append(value)
        if not scores:
            raise UnmixError(f"all validation tracks are silent in {', '.join(separator.stems)}")
        return {stem: float(np.mean(values)) for stem, values in scores.items()}

    def example(self, model: Model) -> ValidationExample:
        """Return the excerpt of the first track in which the model's first stem is loudest."""
        whole = next(self._of_each(lambda track: _read(track, model, model.stems)))
        stem = next(iter(whole.references.values()), whole.mixture)
        span = min(round(_SHOWN * model.sample_rate), stem.shape[1])
        energy = np.concatenate([[0.0], np.cumsum(np.square(stem, dtype=np.float64).sum(0))])
        start = int(np.argmax(energy[span:] - energy[: len(energy) - span]))
        cut = slice(start, start + span)
        return ValidationExample(
            whole.mixture[:, cut],
            {name: samples[:, cut] for name, samples in whole.references.items()},
        )

    def _of_each(self, make: Callable[[Track], _Made]) -> Iterator[_Made]:
        """Yield ``make(track)`` of each track; drop tracks that do not decode."""
        for track in tuple(self._tracks):
            try:
                made = make(track)
            except AudioError as error:
                _log.warning("%s; track %s is dropped from validation", error, track.name)
                self._tracks.remove(track)
            else:
                yield made
        if not self._tracks:
            raise UnmixError("no validation track can be decoded")


def _scores(separator: RecordingSeparator, track: Track) -> dict[str, float]:
    """Return the SDR of each stem that is not silent."""
    known = _read(track, separator.model, separator.stems)
    estimates = separator.separate(known.mixture, separator.model.sample_rate)
    scores = {
        stem: float(
            sdr(estimate=torch.from_numpy(estimates[stem]), reference=torch.from_numpy(reference))
        )
        for stem, reference in known.references.items()
    }
    return {stem: value for stem, value in scores.items() if np.isfinite(value)}


def _read(track: Track, model: Model, stems: Sequence[str]) -> ValidationExample:
    """Return a whole track, whose mixture is the sum of its stems if it has them."""
    rate, channels = model.sample_rate, model.audio_channels
    length = next(iter(track.stems.values())).length_at(rate)
    parts = [track.read(stem, 0, length, rate, channels) for stem in _summed(track)]
    mixture = np.sum(parts, axis=0)
    references = {
        stem: track.read(stem, 0, length, rate, channels) for stem in stems if track.terms(stem)
    }
    return ValidationExample(mixture, references)


def _summed(track: Track) -> tuple[str, ...]:
    """Return the stems whose sum is separated."""
    pair = (VOCALS, ACCOMPANIMENT)
    summed = pair if all(map(track.terms, pair)) else (MIXTURE,)
    if not all(map(track.terms, summed)):
        raise UnmixError(f"{track.name}: has neither a mixture nor stems that sum to one")
    return summed
