"""Unpaired excerpts: seeded streams of single stems, for losses that need no pairs.

Recordings of singers, instrumental music and finished songs are easier to find than songs with
stems. Critics, which tell real stems from estimates, learn from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import ConfigError
from ..stems import ACCOMPANIMENT, MIXTURE, VOCALS
from .corpora import Corpus, CorpusConfig
from .drawing import CorpusDraw, Drawing
from .excerpts import ExcerptReader
from .rows import Part

# Range of the random gains: that of Stoller et al. (ICASSP 2018).
_GAINS = (0.2, 1.2)
# First number of the seeds of gains, so that they differ from those of other streams.
_GAIN_SEED = 1004

#: An index of the unpaired stream, and the stems to return.
UnpairedKey = tuple[int, tuple[str, ...]]

_WEIGHTS: dict[str, Callable[[CorpusConfig], float]] = {
    VOCALS: lambda config: config.vocals,
    ACCOMPANIMENT: lambda config: config.accompaniment,
    MIXTURE: lambda config: config.mixture,
}


class UnpairedExcerpts(Dataset[dict[str, Tensor]]):
    """Items ``{"samples": [C, N], "band": []}``: a stem, and its bandwidth in Hz.

    Args:
        corpora: corpora to draw from, by their weight for the stem.
        stem: ``vocals``, ``accompaniment`` or ``mixture``; a mixture without a file is the sum of
            its stems.
        sample_rate: sample rate of the items in Hz.
        channels: audio channels C.
        length: samples per channel N.
        seed: seed of the stream.
        items: nominal length of the stream.
        speed: largest relative change of playing speed.
        swap_channels: share of excerpts with left and right swapped.

    Raises:
        ConfigError: the stem is not one of these, or no corpus has a weight for it.
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
            raise ConfigError(
                f"{stem!r} is not an unpaired stem; choose from {', '.join(_WEIGHTS)}"
            )
        self._parts = [Part(stem)]
        self._items = items
        reader = ExcerptReader(sample_rate, channels, length)
        self._drawing = Drawing(reader, seed, speed, swap_channels)
        self._tracks = CorpusDraw(corpora, _WEIGHTS[stem], self._parts, by_duration=False)
        if self._tracks.empty:
            raise ConfigError(f"no corpus has a weight `{stem}`")

    def __len__(self) -> int:
        return self._items

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return item ``index``, which depends on the seed and the index alone."""
        return self._drawing.item(index, self._item)

    def _item(self, random: Generator) -> dict[str, Tensor]:
        corpus, track = self._tracks(random)
        (samples,), band = self._drawing.read(corpus, track, self._parts, random)
        return {
            "samples": torch.from_numpy(samples),
            "band": torch.tensor(band, dtype=torch.float32),
        }


class UnpairedStems(Dataset[dict[str, Tensor]]):
    """Unrelated excerpts of several stems, each with a random gain.

    Args:
        streams: the stream of each stem.
        seed: seed of the gains.
    """

    def __init__(self, streams: dict[str, UnpairedExcerpts], seed: int) -> None:
        self._streams = streams
        self._seed = seed

    def __getitem__(self, key: UnpairedKey) -> dict[str, Tensor]:
        """Return samples ``[C, N]`` of the stems in ``key``, by name."""
        index, stems = key
        random = np.random.default_rng((_GAIN_SEED, self._seed, index))
        gains = dict(zip(self._streams, random.uniform(*_GAINS, len(self._streams)), strict=True))
        return {stem: self._streams[stem][index]["samples"] * float(gains[stem]) for stem in stems}
