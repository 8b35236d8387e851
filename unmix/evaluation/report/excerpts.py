"""Excerpts of scored tracks for the page: cut where all stems sound, saved in the report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ..._types import Samples
from ...stems import MIXTURE
from ...storage import written_whole
from ..signals import REFERENCE, Estimated
from .folder import excerpt_folder

#: Seconds of an excerpt.
SECONDS = 10.0
_STEP = 0.5
_INDEX = "excerpt.json"


@dataclass(frozen=True)
class Excerpt:
    """Some seconds of a track: the mixture, and the estimate and reference of a stem."""

    track: str
    stem: str
    start: float
    """Seconds from the start of the track."""
    sample_rate: int
    """Hz."""
    mixture: Samples
    """``[C, N]``."""
    estimate: Samples
    reference: Samples


def excerpts(found: Estimated) -> list[Excerpt]:
    """Return an excerpt of each stem of a track, all from the same place."""
    signals = found.references
    start = _most_eventful(found)
    count = min(signals.length - start, round(SECONDS * signals.sample_rate))
    return [
        Excerpt(
            track=found.track,
            stem=stem,
            start=start / signals.sample_rate,
            sample_rate=signals.sample_rate,
            mixture=signals.read(MIXTURE, start, count),
            estimate=found.estimates.read(stem, start, count),
            reference=signals.read(REFERENCE + stem, start, count),
        )
        for stem in found.stems
    ]


def save_excerpts(folder: Path, fingerprint: str, examples: Sequence[Excerpt]) -> None:
    """Save a track's excerpts; ``fingerprint`` is what they depend on."""
    first = examples[0]
    place = excerpt_folder(folder, first.track)
    # The index comes last: without it, the sounds are not read.
    shutil.rmtree(place, ignore_errors=True)
    _write(place / "mixture.wav", first.mixture, first.sample_rate)
    for example in examples:
        _write(place / f"{example.stem} estimate.wav", example.estimate, first.sample_rate)
        _write(place / f"{example.stem} reference.wav", example.reference, first.sample_rate)
    stems = [example.stem for example in examples]
    index = {"fingerprint": fingerprint, "start": first.start, "stems": stems}
    with written_whole(place / _INDEX) as staged:
        staged.write_text(json.dumps(index), encoding="utf-8")


def load_excerpts(folder: Path, fingerprint: str, track: str) -> list[Excerpt]:
    """Return a track's saved excerpts; none if they are missing or have another fingerprint."""
    place = excerpt_folder(folder, track)
    try:
        index = json.loads((place / _INDEX).read_text(encoding="utf-8"))
        if index["fingerprint"] != fingerprint:
            return []
        mixture, rate = _read(place / "mixture.wav")
        return [
            Excerpt(
                track=track,
                stem=stem,
                start=index["start"],
                sample_rate=rate,
                mixture=mixture,
                estimate=_read(place / f"{stem} estimate.wav")[0],
                reference=_read(place / f"{stem} reference.wav")[0],
            )
            for stem in index["stems"]
        ]
    except (OSError, ValueError, KeyError, soundfile.SoundFileError):
        return []


def _write(path: Path, samples: Samples, sample_rate: int) -> None:
    with written_whole(path) as staged:
        soundfile.write(staged, samples.T, sample_rate, "FLOAT")


def _read(path: Path) -> tuple[Samples, int]:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T), rate


def _most_eventful(found: Estimated) -> int:
    """Return the first sample of the excerpt whose softest stem is the loudest.

    Levels are relative to a stem's own mean: a soft stem counts as much as a loud one.
    """
    signals = found.references
    step = max(1, round(_STEP * signals.sample_rate))
    powers = []
    for block in signals.blocks([REFERENCE + stem for stem in found.stems], step):
        powers.append([float(np.square(samples).mean()) for samples in block.values()])
    levels = np.array(powers)  # [step, S]
    levels /= np.maximum(levels.mean(0), 1e-12)
    width = round(SECONDS / _STEP)
    if len(levels) <= width:
        return 0
    sums = np.cumsum(np.vstack([np.zeros(levels.shape[1]), levels]), 0)
    windows = sums[width:] - sums[:-width]
    return int(windows.min(1).argmax()) * step
