"""Scores of estimates against references: pure functions of tensors."""

from .sdr import sdr, si_sdr

__all__ = ["sdr", "si_sdr"]
