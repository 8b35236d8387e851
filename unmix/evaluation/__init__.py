"""Scoring systems on tracks whose stems are known. Needs the extra ``unmix[evaluate]``."""

from .comparison import StemComparison, compare_reports
from .datasets import KINDS, Dataset, open_dataset
from .evaluating import evaluate, evaluate_estimates
from .measures import GROUPS, METRICS
from .report import Report, TrackScore
from .results import load_report

__all__ = [
    "GROUPS",
    "KINDS",
    "METRICS",
    "Dataset",
    "Report",
    "StemComparison",
    "TrackScore",
    "compare_reports",
    "evaluate",
    "evaluate_estimates",
    "load_report",
    "open_dataset",
]
