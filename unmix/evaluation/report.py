"""Scores of tracks, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: museval's SDR, BSS-Eval v4: Vincent et al., "Performance measurement in blind audio source
#: separation" (IEEE TASLP 2006), over frames as in Stöter et al., "The 2018 Signal Separation
#: Evaluation Campaign" (LVA/ICA 2018).
BSS_SDR = "bss_sdr"
#: Whole-track SDR of the Music Demixing Challenge 2021.
SDR = "sdr"
METRICS = (BSS_SDR, SDR)


@dataclass(frozen=True)
class TrackScore:
    """One stem of one track."""

    track: str
    stem: str
    seconds: float
    values: dict[str, float]
    """dB by metric: of museval the median over frames of one second; NaN where not defined."""


@dataclass(frozen=True)
class Report:
    """Every track's scores, under the name of what was scored."""

    model: str
    dataset: str
    scores: tuple[TrackScore, ...]

    @property
    def stems(self) -> tuple[str, ...]:
        """Stems that were scored, in the order they came."""
        return tuple(dict.fromkeys(score.stem for score in self.scores))

    def values(self, stem: str, metric: str) -> list[float]:
        """Return one metric of one stem for every track where it is defined, in dB."""
        found = [score.values[metric] for score in self.scores if score.stem == stem]
        return [value for value in found if not np.isnan(value)]

    def median(self, stem: str, metric: str) -> float:
        """Return the median over tracks, in dB: SiSEC's way when the metric is museval's."""
        return float(np.median(self.values(stem, metric) or [np.nan]))

    def mean(self, stem: str, metric: str) -> float:
        """Return the mean over tracks, in dB: the Music Demixing Challenge's way for ``sdr``."""
        return float(np.mean(self.values(stem, metric) or [np.nan]))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is not defined is null."""

        def plain(value: float) -> float | None:
            return round(value, 4) if np.isfinite(value) else None

        return {
            "model": self.model,
            "dataset": self.dataset,
            "aggregate": {
                stem: {
                    metric: {
                        "median_over_tracks": plain(self.median(stem, metric)),
                        "mean_over_tracks": plain(self.mean(stem, metric)),
                    }
                    for metric in METRICS
                }
                for stem in self.stems
            },
            "tracks": [
                {
                    "track": score.track,
                    "stem": score.stem,
                    "seconds": round(score.seconds, 3),
                    "scores": {name: plain(value) for name, value in score.values.items()},
                }
                for score in self.scores
            ],
        }
