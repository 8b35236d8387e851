"""Chunks that overlap, faded and added up to one stream."""

from __future__ import annotations

import numpy as np

from .._types import Samples


class OverlapAdd:
    r"""Adds up faded chunks; returns samples once no later chunk touches them.

        chunk 0   /-----\          A fade never reaches zero, so dividing by the summed
        chunk 1       /-----\      fades gives the mixture back exactly wherever the
        chunk 2           /-----\  model is the identity.
                  |hop|

    Args:
        shape: of the samples, without the last axis.
        chunk: samples of a chunk.
        hop: samples from the start of one chunk to the start of the next, at most ``chunk``.
    """

    def __init__(self, shape: tuple[int, ...], chunk: int, hop: int) -> None:
        self._hop = hop
        self._overlap = chunk - hop
        self._fade = fade(chunk, self._overlap)
        self._sum = np.zeros((*shape, chunk), np.float32)
        self._weight = np.zeros(chunk, np.float32)

    def add(self, chunk: Samples) -> Samples:
        """Add the next chunk ``[..., chunk]``; return the samples ``[..., hop]`` that are final."""
        self._sum += chunk * self._fade
        self._weight += self._fade
        final = self._sum[..., : self._hop] / self._weight[: self._hop]
        for held in (self._sum, self._weight):
            held[..., : self._overlap] = held[..., self._hop :]
            held[..., self._overlap :] = 0
        return final

    def finish(self) -> Samples:
        """Return the end of the last chunk, ``[..., chunk - hop]``."""
        final: Samples = self._sum[..., : self._overlap] / self._weight[: self._overlap]
        return final


def fade(chunk: int, overlap: int) -> Samples:
    """Return the weight of each sample of a chunk ``[chunk]``.

    A raised cosine over ``overlap`` samples at either end, 1 between. It never reaches zero, so
    that the first and last samples of a recording, which only one chunk covers, keep their level.
    """
    rise = np.sin(0.5 * np.pi * (np.arange(overlap) + 0.5) / max(overlap, 1)) ** 2
    weight = np.ones(chunk, np.float64)
    weight[:overlap] = rise
    weight[chunk - overlap :] = np.minimum(weight[chunk - overlap :], rise[::-1])
    return np.maximum(weight, 1e-4).astype(np.float32)
