"""From samples to frames and back: exact, batched, on any device."""

from .stft import STFT, Padding
from .subbands import BANDS, PQMF, SubbandSTFT

__all__ = ["BANDS", "PQMF", "STFT", "Padding", "SubbandSTFT"]
