"""Tracks with stems on disk, and random training mixtures of them."""

from .corpora import STEMS, Corpus, CorpusConfig, open_corpus
from .folders import Contents, Skipped, find_tracks, read_folder
from .matching import MatchConfig
from .packed import verify_packed
from .packing import pack
from .sampling import MixingConfig, RandomMixtures
from .tracks import StemFile, Track
from .unpaired import UnpairedExcerpts

__all__ = [
    "STEMS",
    "Contents",
    "Corpus",
    "CorpusConfig",
    "MatchConfig",
    "MixingConfig",
    "RandomMixtures",
    "Skipped",
    "StemFile",
    "Track",
    "UnpairedExcerpts",
    "find_tracks",
    "open_corpus",
    "pack",
    "read_folder",
    "verify_packed",
]
