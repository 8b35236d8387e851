"""The scores of one track: its estimates against its references, by every requested metric."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import UnmixError
from ..metrics import BSSOptions, BSSScores, bss_eval_blocks, track_scores
from ..stems import ACCOMPANIMENT, VOCALS
from .measures import BSS_FIGURES, DIGITS, METRICS
from .report.scores import TrackScore
from .signals import Estimated

Floats = NDArray[np.float64]
#: Values of every frame ``[frames]`` by stem, then by museval's name of the figure.
FrameFigures = dict[str, dict[str, Floats]]

#: Name, among a track's values, of the condition of BSS Eval's equations: from
#: ``metrics.SINGULAR`` on, rounding errors decide ISR, SIR and SAR.
CONDITION = "bss_condition"


@dataclass(frozen=True, kw_only=True)
class ScoringSettings:
    """What is measured, and how."""

    metrics: tuple[str, ...]
    """Groups of metrics: see ``GROUPS``."""
    window: float = 1.0
    """Seconds of the frames of BSS Eval v4; infinite: the whole track is one frame."""
    hop: float = 1.0
    """Seconds from one frame to the next."""
    framewise: bool = False
    """Fit distortion filters to every frame, as BSS Eval v3 does."""
    official: bool = False
    """Compute BSS Eval with museval itself."""

    def options(self, sample_rate: int) -> BSSOptions:
        """Return the options of BSS Eval at a rate in Hz.

        Raises:
            UnmixError: window or hop is shorter than a sample.
        """
        if not math.isfinite(self.window):
            return BSSOptions()
        window = round(self.window * sample_rate)
        hop = round(self.hop * sample_rate) if math.isfinite(self.hop) else window
        if window < 1 or hop < 1:
            raise UnmixError(
                f"window ({self.window} s) or hop ({self.hop} s) is shorter than a sample at "
                f"{sample_rate} Hz"
            )
        return BSSOptions(window=window, hop=hop, framewise=self.framewise)


def over_frames(frames: Sequence[float] | Floats) -> float:
    """Return a track's value: the median over its finite frames, as museval does."""
    values = np.asarray(frames, np.float64)
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def bss_sets(stems: Sequence[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return sets of stems that BSS Eval scores together, and those of each to keep figures of.

    Interference comes from the other stems of a set. As in museval, instruments and vocals are one
    set, and the accompaniment is compared with the vocals alone.
    """
    stems = tuple(stems)
    if ACCOMPANIMENT not in stems or not set(stems) - {VOCALS, ACCOMPANIMENT}:
        return [(stems, stems)]
    others = tuple(stem for stem in stems if stem != ACCOMPANIMENT)
    pair = tuple(stem for stem in stems if stem in (VOCALS, ACCOMPANIMENT))
    return [(others, others), (pair, (ACCOMPANIMENT,))]


def bss_frames(
    found: Estimated, settings: ScoringSettings, device: torch.device | None
) -> FrameFigures:
    """Return BSS Eval's figures of every frame by our implementation, and ``CONDITION``."""
    frames: FrameFigures = {}
    options = settings.options(found.references.sample_rate)
    for stem, scores, row in _by_sets(found, options, device):
        frames[stem] = {
            name: getattr(scores, name.lower())[row].cpu().numpy() for name in BSS_FIGURES
        }
        frames[stem][CONDITION] = scores.condition.max().reshape(1).cpu().numpy()
    return frames


def score(
    found: Estimated, settings: ScoringSettings, frames: FrameFigures, device: torch.device | None
) -> list[TrackScore]:
    """Return the scores of the stems that the system estimates.

    Args:
        found: estimates and references.
        settings: what to measure.
        frames: BSS Eval's figures, if requested.
        device: device to compute on; default: the CPU.
    """
    values: dict[str, dict[str, float]] = {stem: {} for stem in found.stems}
    for stem in found.stems:
        figures = frames.get(stem, {})
        for name, metric in METRICS.items():
            if metric.framewise in figures:
                values[stem][name] = over_frames(figures[metric.framewise])
        if CONDITION in figures:
            values[stem][CONDITION] = float(figures.pop(CONDITION)[0])
    _add_whole(values, found, settings, device)
    if "singing" in settings.metrics:
        _add_singing(values, found, device)
    return [
        TrackScore(
            system=found.system,
            track=found.track,
            stem=stem,
            seconds=round(found.references.seconds, DIGITS),
            values={name: _plain(value) for name, value in values[stem].items()},
            frames={name: tuple(map(_plain, row)) for name, row in frames.get(stem, {}).items()},
        )
        for stem in found.stems
    ]


def _by_sets(
    found: Estimated, options: BSSOptions, device: torch.device | None, *, floor: bool = False
) -> Iterator[tuple[str, BSSScores, int]]:
    """Yield every stem that the system estimates, the figures of its set, and its row there.

    With ``floor``, the mixture is the estimate of every stem.
    """
    for together, wanted in bss_sets(found.context):
        if not set(wanted) & set(found.stems):
            continue
        signals = partial(found.floor if floor else found.pairs, together)
        scores = bss_eval_blocks(signals, options, device)
        for row, stem in enumerate(together):
            if stem in wanted and stem in found.stems:
                yield stem, scores, row


def _add_whole(
    values: dict[str, dict[str, float]],
    found: Estimated,
    settings: ScoringSettings,
    device: torch.device | None,
) -> None:
    wanted = [name for name in ("sdr", "si_sdr", "log_l1") if name in settings.metrics]
    if not wanted:
        return
    scores = track_scores(lambda: found.pairs(found.stems), device)
    for name in wanted:
        for stem, value in zip(found.stems, getattr(scores, name).tolist(), strict=True):
            values[stem][name] = value


def _add_singing(
    values: dict[str, dict[str, float]], found: Estimated, device: torch.device | None
) -> None:
    """Add the figures of ``unmix.metrics.singing_scores``, block by block."""
    options = BSSOptions(mode="sources")
    floor = {stem: s.sdr[row] for stem, s, row in _by_sets(found, options, device, floor=True)}
    for stem, scores, row in _by_sets(found, options, device):
        values[stem]["nsdr"] = float(scores.sdr[row] - floor[stem])
        values[stem]["sir"] = float(scores.sir[row])
        values[stem]["sar"] = float(scores.sar[row])


def _plain(value: float) -> float:
    """Return a score as it is saved, so that it is the same to the bit when read back."""
    return round(float(value), DIGITS)
