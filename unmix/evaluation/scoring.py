"""One track's estimates against its references: every metric that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.tracks import MIXTURE
from ..metrics import BSSOptions, bss_eval_blocks, track_scores
from ..stems import ACCOMPANIMENT, VOCALS
from .aggregate import over_frames
from .measures import METRICS
from .references import REFERENCE
from .report import TrackScore
from .signals import Signals

Floats = NDArray[np.float64]
#: Values of every frame ``[frames]`` by stem, then by museval's name of the figure.
Frames = dict[str, dict[str, Floats]]

FIGURES = ("SDR", "ISR", "SIR", "SAR")
#: Decimals of scores: museval agrees with itself on another machine to fewer.
DIGITS = 6
_BLOCK = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured, and how."""

    metrics: tuple[str, ...]
    """Groups of metrics: see ``GROUPS``."""
    window: float = 1.0
    """Seconds of the frames of BSS Eval v4."""
    hop: float = 1.0
    """Seconds from a frame to the next."""
    framewise: bool = False
    """Whether each frame has distortion filters of its own, as in BSS Eval v3."""
    official: bool = False
    """Whether museval computes BSS Eval's figures."""

    def options(self, sample_rate: int) -> BSSOptions:
        """Return the options of BSS Eval at a rate in Hz."""
        return BSSOptions(
            window=round(self.window * sample_rate),
            hop=round(self.hop * sample_rate),
            framewise=self.framewise,
        )


@dataclass(frozen=True)
class Estimated:
    """What one system made of one track, on disk."""

    system: str
    track: str
    stems: tuple[str, ...]
    references: Signals
    """With the mixture."""
    estimates: Signals

    def pairs(self, stems: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield estimates and references ``[S, C, n]``, block after block."""
        for start in range(0, self.references.length, _BLOCK):
            count = min(_BLOCK, self.references.length - start)
            estimates = [self.estimates.read(stem, start, count) for stem in stems]
            references = [self.references.read(REFERENCE + s, start, count) for s in stems]
            yield _stacked(estimates), _stacked(references)

    def floor(self, stems: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the same, with the mixture as the estimate of every stem."""
        for start in range(0, self.references.length, _BLOCK):
            count = min(_BLOCK, self.references.length - start)
            mixture = self.references.read(MIXTURE, start, count)
            references = [self.references.read(REFERENCE + s, start, count) for s in stems]
            yield _stacked([mixture] * len(stems)), _stacked(references)


def bss_sets(stems: Sequence[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the sets of stems that BSS Eval sees together, and of which it gives figures.

    Interference is what comes from the other stems of a set. As in museval, instruments are one
    set, and the accompaniment is held against the vocals alone.
    """
    stems = tuple(stems)
    if ACCOMPANIMENT not in stems or not set(stems) - {VOCALS, ACCOMPANIMENT}:
        return [(stems, stems)]
    others = tuple(stem for stem in stems if stem != ACCOMPANIMENT)
    pair = tuple(stem for stem in stems if stem in (VOCALS, ACCOMPANIMENT))
    return [(others, others), (pair, (ACCOMPANIMENT,))]


def bss_frames(found: Estimated, settings: Settings, device: torch.device | None) -> Frames:
    """Return BSS Eval's figures of every frame, by ours."""
    frames: Frames = {}
    options = settings.options(found.references.sample_rate)
    for together, wanted in bss_sets(found.stems):
        scores = bss_eval_blocks(lambda s=together: found.pairs(s), options, device)  # type: ignore[misc]
        for row, stem in enumerate(together):
            if stem in wanted:
                frames[stem] = {
                    name: getattr(scores, name.lower())[row].cpu().numpy() for name in FIGURES
                }
    return frames


def score(
    found: Estimated, settings: Settings, frames: Frames, device: torch.device | None
) -> list[TrackScore]:
    """Return the scores of a track's stems.

    Args:
        found: estimates and references.
        settings: what to measure.
        frames: BSS Eval's figures, where they are asked for.
        device: where to work; on the CPU if not given.
    """
    values: dict[str, dict[str, float]] = {stem: {} for stem in found.stems}
    for name, metric in METRICS.items():
        for stem, figures in frames.items():
            if metric.framewise:
                values[stem][name] = over_frames(figures[metric.framewise])
    _add(values, _whole(found, settings, device))
    if "singing" in settings.metrics:
        _add(values, _singing(found, device))
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


def _whole(
    found: Estimated, settings: Settings, device: torch.device | None
) -> Mapping[str, Sequence[float]]:
    wanted = [name for name in ("sdr", "si_sdr", "log_l1") if name in settings.metrics]
    if not wanted:
        return {}
    scores = track_scores(lambda: found.pairs(found.stems), device)
    return {name: getattr(scores, name).tolist() for name in wanted}


def _singing(found: Estimated, device: torch.device | None) -> Mapping[str, Sequence[float]]:
    """Return the figures of ``unmix.metrics.singing_scores``, of signals of any length."""
    stems, options = found.stems, BSSOptions(mode="sources")
    ours = bss_eval_blocks(lambda: found.pairs(stems), options, device)
    floor = bss_eval_blocks(lambda: found.floor(stems), options, device)
    return {
        "nsdr": (ours.sdr - floor.sdr)[:, 0].tolist(),
        "sir": ours.sir[:, 0].tolist(),
        "sar": ours.sar[:, 0].tolist(),
    }


def _add(values: dict[str, dict[str, float]], scores: Mapping[str, Sequence[float]]) -> None:
    for name, row in scores.items():
        for stem, value in zip(values, row, strict=True):
            values[stem][name] = value


def _plain(value: float) -> float:
    """Return a score as it is kept: what is read again later is the same to the bit."""
    return round(float(value), DIGITS) if np.isfinite(value) else np.nan


def _stacked(signals: Sequence[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(signals))
