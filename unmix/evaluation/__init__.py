"""Scoring models on tracks whose stems are known. Needs the extra ``unmix[evaluate]``."""

from .report import Report, TrackScore
from .scoring import evaluate

__all__ = ["Report", "TrackScore", "evaluate"]
