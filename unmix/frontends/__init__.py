"""From samples to frames and back: exact, batched, on any device."""

from .stft import STFT, Padding

__all__ = ["STFT", "Padding"]
