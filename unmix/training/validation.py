"""Scores of a model in training, on whole tracks, through the same separation that users get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..data import Track, find_tracks
from ..metrics import sdr
from ..models import Model
from ..separator import Separator
from ..stems import ACCOMPANIMENT, INSTRUMENTS, VOCALS


class TrackValidator:
    """Separates every track of some folders and returns the mean whole-track SDR of each stem.

    Args:
        folders: of tracks with a file per stem.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._tracks = [
            track
            for folder in folders
            for track in find_tracks(folder, (VOCALS, ACCOMPANIMENT, *INSTRUMENTS))
        ]

    def __call__(self, model: Model) -> dict[str, float]:
        """Return the mean over tracks of the SDR in dB, by stem; silent references are left out."""
        separator = Separator(model, device=str(next(model.parameters()).device), quality="fast")
        scores: dict[str, list[float]] = {}
        for track in self._tracks:
            for stem, value in _scores(separator, track).items():
                scores.setdefault(stem, []).append(value)
        return {stem: float(np.mean(values)) for stem, values in scores.items()}


def _scores(separator: Separator, track: Track) -> dict[str, float]:
    rate, channels = separator.model.sample_rate, separator.model.audio_channels
    length = next(iter(track.stems.values())).length_at(rate)
    references = {
        stem: track.read(stem, 0, length, rate, channels)
        for stem in separator.stems
        if track.parts(stem)
    }
    mixture = np.sum(
        [track.read(stem, 0, length, rate, channels) for stem in (VOCALS, ACCOMPANIMENT)], axis=0
    )
    estimates = separator.separate(mixture, rate)
    scores = {
        stem: float(
            sdr(
                estimate=torch.from_numpy(estimates[stem]),
                reference=torch.from_numpy(reference),
            )
        )
        for stem, reference in references.items()
    }
    return {stem: value for stem, value in scores.items() if np.isfinite(value)}
