"""Metrics: scores of estimates against references, as pure functions of tensors."""

from ._blocks import Blocks
from .bsseval import SINGULAR, BSSOptions, BSSScores, bss_eval, bss_eval_blocks
from .singing import SingingScores, singing_scores
from .whole import TrackScores, log_l1, sdr, si_sdr, track_scores

__all__ = [
    "SINGULAR",
    "BSSOptions",
    "BSSScores",
    "Blocks",
    "SingingScores",
    "TrackScores",
    "bss_eval",
    "bss_eval_blocks",
    "log_l1",
    "sdr",
    "si_sdr",
    "singing_scores",
    "track_scores",
]
