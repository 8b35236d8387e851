"""A folder of tracks through a separator, and every stem against its reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..data import Track, find_tracks
from ..errors import UnmixError
from ..manifest import DEFAULT
from ..metrics import sdr
from ..models import Model
from ..separator import Separator
from ..stems import ACCOMPANIMENT, INSTRUMENTS, VOCALS
from .official import bss_sdr
from .report import BSS_SDR, SDR, Report, TrackScore

Samples = NDArray[np.float32]
#: Estimates of a mixture ``[C, N]`` at a sample rate in Hz, by stem.
Separate = Callable[[Samples, int], dict[str, Samples]]


def evaluate(
    model: str | Path | Model = DEFAULT,
    *,
    data: str | Path,
    stems: Sequence[str] = (VOCALS, ACCOMPANIMENT),
    quality: str = "balanced",
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
) -> Report:
    """Score a model on every track of a folder.

    The mixture of a track is the sum of its stems; a missing accompaniment is the sum of drums,
    bass and other. Scores are museval's (BSS-Eval v4 over frames of one second, the median over
    frames), and the whole-track SDR.

    Args:
        model: name or path of a model; ``"mixture"`` scores the mixture itself as every estimate,
            the floor that any separation must pass.
        data: folder of tracks: one folder per track, with a file per stem.
        stems: which to score.
        quality: ``fast``, ``balanced`` or ``best``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        progress: called with the fraction of tracks that is done.

    Raises:
        UnmixError: for a folder without tracks, or tracks without the stems.
    """
    tracks = [
        track
        for track in find_tracks(Path(data), (VOCALS, ACCOMPANIMENT, *INSTRUMENTS))
        if all(track.parts(stem) for stem in (VOCALS, ACCOMPANIMENT, *stems))
    ]
    if not tracks:
        raise UnmixError(f"{data}: no track has {', '.join(stems)} and the rest of its mixture")
    if model == "mixture":
        name, separate = "mixture", _mixture(stems)
    else:
        separator = Separator(model, quality=quality, device=device)
        name, separate = separator.model_name, separator.separate
    scores: list[TrackScore] = []
    for done, track in enumerate(tracks, 1):
        scores += score_track(track, separate, stems)
        if progress:
            progress(done / len(tracks))
    return Report(name, str(data), tuple(scores))


def score_track(track: Track, separate: Separate, stems: Sequence[str]) -> list[TrackScore]:
    """Return the scores of one track's stems, at the rate and channels it is stored in."""
    first = next(iter(track.stems.values()))
    rate, channels = first.sample_rate, first.channels
    references = {
        stem: track.read(stem, 0, first.length, rate, channels)
        for stem in (VOCALS, ACCOMPANIMENT, *stems)
    }
    estimates = separate(references[VOCALS] + references[ACCOMPANIMENT], rate)
    missing = [stem for stem in stems if stem not in estimates]
    if missing:
        raise UnmixError(
            f"the model gives no {', '.join(missing)}; it gives {', '.join(estimates)}"
        )
    # museval looks for distortions among all the stems together, so all are handed over at once.
    frames = bss_sdr(
        estimates=[estimates[stem] for stem in stems],
        references=[references[stem] for stem in stems],
        sample_rate=rate,
    )
    return [
        TrackScore(
            track.name,
            stem,
            first.length / rate,
            {BSS_SDR: _median(frames[row]), SDR: _sdr(estimates[stem], references[stem])},
        )
        for row, stem in enumerate(stems)
    ]


def _median(frames: NDArray[np.float64]) -> float:
    # museval's own aggregation: frames that are not defined (silent references) do not count.
    defined = frames[~np.isnan(frames)]
    return float(np.median(defined)) if defined.size else float("nan")


def _sdr(estimate: Samples, reference: Samples) -> float:
    return float(sdr(estimate=torch.from_numpy(estimate), reference=torch.from_numpy(reference)))


def _mixture(stems: Sequence[str]) -> Separate:
    return lambda samples, _: dict.fromkeys(stems, samples)
