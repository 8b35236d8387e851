"""Samples to frames and back: transforms with exact inverses, features and masks."""

from .stft import STFT, Padding
from .subbands import BANDS, PQMF, SubbandSTFT

__all__ = ["BANDS", "PQMF", "STFT", "Padding", "SubbandSTFT"]
