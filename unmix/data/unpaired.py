"""Unpaired excerpts: a seeded stream of one stem alone, for losses that need no pairs.

Recordings of singers, instrumental music and finished songs are easier to come by than songs with
their stems; a critic that tells real stems from estimates learns from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import ConfigError
from ..stems import ACCOMPANIMENT, VOCALS
from .corpora import Corpus, CorpusConfig
from .drawing import CorpusDraw, Drawing
from .excerpts import ExcerptReader
from .rows import Part
from .tracks import MIXTURE

_WEIGHTS: dict[str, Callable[[CorpusConfig], float]] = {
    VOCALS: lambda config: config.vocals,
    ACCOMPANIMENT: lambda config: config.accompaniment,
    MIXTURE: lambda config: config.mixture,
}


class UnpairedExcerpts(Dataset[dict[str, Tensor]]):
    """Items ``{"samples": [C, N], "band": []}``: a stem, and Hz up to which it holds.

    Args:
        corpora: what to draw from, by their weight for the stem.
        stem: ``vocals``, ``accompaniment`` or ``mixture``; a mixture without a file is the sum of
            its stems.
        sample_rate: Hz, of the items.
        channels: C.
        length: N, samples.
        seed: another one gives another stream.
        items: nominal length of the stream.
        speed: largest relative change of playing speed.
        swap_channels: share of excerpts whose left and right are each other's.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        stem: str,
        *,
        sample_rate: int,
        channels: int,
        length: int,
        seed: int,
        items: int,
        speed: float = 0.0,
        swap_channels: float = 0.5,
    ) -> None:
        if stem not in _WEIGHTS:
            raise ConfigError(f"{stem!r} is not drawn alone; choose from {', '.join(_WEIGHTS)}")
        self._parts = [Part(stem)]
        self._items = items
        reader = ExcerptReader(sample_rate, channels, length)
        self._drawing = Drawing(reader, seed, speed, swap_channels)
        self._tracks = CorpusDraw(corpora, _WEIGHTS[stem], self._parts, by_duration=False)
        if self._tracks.empty:
            raise ConfigError(f"no corpus has a weight for `{stem}`")

    def __len__(self) -> int:
        return self._items

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return item ``index``: the same one whoever asks, in whatever order."""
        return self._drawing.item(index, self._item)

    def _item(self, random: Generator) -> dict[str, Tensor]:
        corpus, track = self._tracks(random)
        (samples,), band = self._drawing.read(corpus, track, self._parts, random)
        return {
            "samples": torch.from_numpy(samples),
            "band": torch.tensor(band, dtype=torch.float32),
        }
