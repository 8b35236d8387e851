"""From samples to frames and back: exact, batched, on any device."""

from .stft import STFT

__all__ = ["STFT"]
