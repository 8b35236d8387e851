"""Singing voice separation by the protocol of MIR-1K's tables: GNSDR, GSIR and GSAR, in dB.

As in Park et al., "Music Source Separation Using Stacked Hourglass Networks" (ISMIR 2018), after
Huang et al., "Singing-Voice Separation from Monaural Recordings using Deep Recurrent Neural
Networks" (ISMIR 2014): the mixture is the mean of both channels of a clip, figures are those of
``bss_eval_sources`` over the whole clip at 16 kHz, NSDR is the gain in SDR over the mixture as the
estimate, and means over clips are weighted by duration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unmix._types import Progress, Samples
from unmix.data import Track, find_tracks
from unmix.evaluation.datasets import SAMPLE_RATE, TRAINING_SINGERS
from unmix.metrics import singing_scores
from unmix.stems import ACCOMPANIMENT, VOCALS

#: Estimates of a mixture ``[C, N]`` at a sample rate in Hz, by stem.
Separate = Callable[[Samples, int], dict[str, Samples]]

SINGING_STEMS = (VOCALS, ACCOMPANIMENT)


@dataclass(frozen=True)
class MeanSingingScores:
    """Means over clips, weighted by duration, in dB by stem."""

    clips: int
    seconds: float
    gnsdr: dict[str, float]
    gsir: dict[str, float]
    gsar: dict[str, float]
    undefined: int = 0
    """Clips that lack a figure, because a stem or its estimate is silent; means leave it out."""


def score_singing(
    separate: Separate,
    data: Path,
    *,
    exclude: Sequence[str] = TRAINING_SINGERS,
    every: int = 1,
    progress: Progress | None = None,
) -> MeanSingingScores:
    """Score a separation on clips with vocals and accompaniment.

    Args:
        separate: returns vocals and accompaniment of a mixture ``[1, N]`` at 16 kHz.
        data: folder with a folder per clip.
        exclude: patterns of clips to leave out; default: the singers of the training set.
        every: score only every n-th clip, for a quick look.
        progress: called with the fraction that is done.

    Raises:
        UnmixError: the folder has no clips.
    """
    clips = find_tracks(data, SINGING_STEMS, exclude=exclude)[::every]
    rows = []
    for done, clip in enumerate(clips, 1):
        rows.append(_score(clip, separate))
        if progress:
            progress(done / len(clips))
    lengths = np.array([length for length, _ in rows], np.float64)
    figures = np.stack([row for _, row in rows])  # [clip, figure, stem]
    # Clips with an undefined figure (silence) do not count in its mean.
    defined = np.isfinite(figures)
    weights = lengths[:, None, None] * defined
    means = (np.where(defined, figures, 0) * weights).sum(0) / weights.sum(0)
    gnsdr, gsir, gsar = (dict(zip(SINGING_STEMS, map(float, mean), strict=True)) for mean in means)
    seconds = float(lengths.sum() / SAMPLE_RATE)
    undefined = int((~defined.all((1, 2))).sum())
    return MeanSingingScores(len(clips), seconds, gnsdr, gsir, gsar, undefined)


def _score(clip: Track, separate: Separate) -> tuple[int, NDArray[np.float64]]:
    """Return a clip's length and its NSDR, SIR and SAR ``[3, S]``."""
    length = min(clip.stems[stem].length_at(SAMPLE_RATE) for stem in SINGING_STEMS)
    # The mixture is the mean of the channels, half their sum: halve both stems.
    halves = [
        clip.read(stem, 0, length, SAMPLE_RATE, 1) * np.float32(0.5) for stem in SINGING_STEMS
    ]
    mixture = halves[0] + halves[1]
    stems = separate(mixture, SAMPLE_RATE)
    figures = singing_scores(
        estimates=torch.from_numpy(np.stack([stems[stem] for stem in SINGING_STEMS])),
        references=torch.from_numpy(np.stack(halves)),
        mixture=torch.from_numpy(mixture),
    )
    return length, torch.stack([figures.nsdr, figures.sir, figures.sar]).numpy()
