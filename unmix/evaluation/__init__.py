"""Score systems on tracks with known stems. Needs the extra ``unmix[evaluate]``."""

from .api import evaluate, evaluate_estimates
from .datasets import KINDS, Dataset, open_dataset
from .measures import GROUPS, METRICS
from .report.comparison import StemComparison, compare_reports
from .report.results import load_report
from .report.scores import Report, TrackScore

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
