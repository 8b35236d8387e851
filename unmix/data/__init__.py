"""Tracks and the random mixtures that are made of them."""

from .corpora import Corpus, CorpusConfig, open_corpus
from .folders import find_tracks
from .sampling import MixingConfig, RandomMixtures
from .tracks import StemFile, Track

__all__ = [
    "Corpus",
    "CorpusConfig",
    "MixingConfig",
    "RandomMixtures",
    "StemFile",
    "Track",
    "find_tracks",
    "open_corpus",
]
