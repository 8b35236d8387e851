"""Scores of estimates against references: pure functions of tensors."""

from .bsseval import BSSScores, bss_eval
from .sdr import sdr, si_sdr

__all__ = ["BSSScores", "bss_eval", "sdr", "si_sdr"]
