"""Scores of estimates against references: pure functions of tensors."""

from .bsseval import SINGULAR, BSSOptions, BSSScores, bss_eval, bss_eval_blocks
from .sdr import sdr, si_sdr

__all__ = ["SINGULAR", "BSSOptions", "BSSScores", "bss_eval", "bss_eval_blocks", "sdr", "si_sdr"]
