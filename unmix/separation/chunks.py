"""Where the chunks of a recording lie: pure arithmetic, in samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ChunkGrid:
    """Chunks of one length, ``hop`` samples apart, from the start of a recording to past its end.

        recording  |=============================|
        chunk 0    |-----------------|
        chunk 1            |-----------------|
        chunk 2                    |-----------------|
        moved                  |-----------------|      by ``lookback``

    The model also sees ``context`` samples on either side of each chunk. Lengths and positions
    count from the start of the grid.
    """

    chunk: int
    """Samples of the estimates of one chunk."""
    hop: int
    """Samples from the start of one chunk to the start of the next, at most ``chunk``."""
    step: int = 1
    """The last chunk moves by multiples of this."""
    context: int = 0
    """Samples that the model consumes on either side of a chunk."""
    padding: Literal["reflect", "zeros"] = "reflect"
    """What the last chunk sees past the end: ``zeros``; or ``reflect``, the mirror image of the
    recording. With ``reflect`` the chunk is moved to end with the recording, so that it sees less
    than ``step`` samples of padding, or more only of a recording shorter than a chunk."""

    @property
    def overlap(self) -> int:
        """Samples that a chunk has in common with the next."""
        return self.chunk - self.hop

    @property
    def window(self) -> int:
        """Samples of the mixture that the estimates of one chunk are made from."""
        return self.chunk + 2 * self.context

    def start(self, index: int) -> int:
        """Return where a chunk starts."""
        return index * self.hop

    def count(self, length: int) -> int:
        """Return how many chunks cover a recording of ``length`` samples; at least one."""
        return max(1, -(-(length - self.overlap) // self.hop))

    def needed(self, count: int) -> int:
        """Return how many samples must have arrived to compute the first ``count`` chunks."""
        return self.start(count - 1) + self.chunk + self.context

    def lookback(self, length: int) -> int:
        """Return how much earlier the last chunk begins, so that it ends with the recording.

        A chunk that is mostly padding is unlike what a model is trained on.
        """
        if self.padding == "zeros":
            return 0
        last = self.start(self.count(length) - 1)
        return (last - max(0, length - self.chunk)) // self.step * self.step
