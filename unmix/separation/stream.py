"""A stream of samples to a stream of estimates, at the model's own sample rate and channels.

Memory use depends on the settings, not on the length of the recording. How the recording is cut
into blocks does not change a bit of the result: chunks lie on a fixed grid and are batched in
fixed groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .._types import Samples
from ..models import Model
from .chunks import ChunkGrid
from .inference import Inference, Spare
from .overlap_add import OverlapAdd


@dataclass(frozen=True, kw_only=True)
class SeparationSettings:
    """How a recording is cut into chunks and computed."""

    chunk: int
    """Samples of the estimates of one chunk."""
    overlap: float = 0.25
    """Fraction of a chunk shared with the next, 0 <= overlap < 1."""
    shifts: int = 1
    """Passes over the recording, each with its chunks in other places; the result is the mean."""
    batch_size: int = 4
    """Chunks computed at once; halved when memory runs out."""
    precision: str = "fp32"
    """``fp32``, ``bf16`` or ``fp16``."""
    step: int = 1
    """Chunks start at multiples of this many samples."""

    def __post_init__(self) -> None:
        if min(self.chunk, self.shifts, self.batch_size, self.step) < 1:
            raise ValueError("chunk, shifts, batch_size and step must be at least 1")
        if self.step > self.chunk:
            raise ValueError(
                f"chunk must be at least {self.step} samples for this model, got {self.chunk}"
            )
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap must be at least 0 and below 1, got {self.overlap}")

    @property
    def hop(self) -> int:
        """Samples from the start of one chunk to the start of the next."""
        return max(self.step, round(self.chunk * (1 - self.overlap)) // self.step * self.step)


class Separation:
    """Separates one recording whose blocks are pushed one by one.

    Args:
        model: in evaluation mode, on the device to compute on.
        settings: how to cut and compute the recording.
        spare: where to go on when the device fails; default: that is an error.
        device: what the model is on; default: where its weights are.
    """

    def __init__(
        self,
        model: Model,
        settings: SeparationSettings,
        spare: Spare | None = None,
        device: torch.device | None = None,
    ) -> None:
        delays = [settings.hop * shift // settings.shifts for shift in range(settings.shifts)]
        self._walks = [
            _Walk(
                model,
                settings,
                delay,
                Inference(model, settings.batch_size, settings.precision, spare, device),
            )
            for delay in delays
        ]
        self._average = _Average(len(self._walks))

    def push(self, block: Samples) -> list[Samples]:
        """Take samples ``[C, n]``; return the estimates ``[S, C, m]`` that are final."""
        return self._average([walk.push(block) for walk in self._walks])

    def finish(self) -> list[Samples]:
        """Return the remaining estimates."""
        return self._average([walk.finish() for walk in self._walks])


class _Average:
    """The mean of several streams of samples that advance at different times."""

    def __init__(self, streams: int) -> None:
        self._held: list[list[Samples]] = [[] for _ in range(streams)]

    def __call__(self, pieces: list[list[Samples]]) -> list[Samples]:
        """Take the next pieces of each stream; return the mean as far as all streams reach."""
        if len(pieces) == 1:
            return pieces[0]
        for held, new in zip(self._held, pieces, strict=True):
            held.extend(new)
        if not all(self._held):
            return []
        streams = [np.concatenate(held, -1) for held in self._held]
        common = min(stream.shape[-1] for stream in streams)
        self._held = [[stream[..., common:]] for stream in streams]
        return [np.mean([stream[..., :common] for stream in streams], axis=0)] if common else []


class _Walk:
    """One walk over a recording, on a grid of chunks that starts ``delay`` samples before it.

    Positions count from the start of the grid. The mixture is held from one hop before the next
    chunk, because the last chunk may move back as far, to the last sample received:

        grid         |--- hop ---|--- hop ---|--- hop ---|
        next chunk                           |-----------------|
        held                     |========================|
    """

    def __init__(
        self, model: Model, settings: SeparationSettings, delay: int, infer: Inference
    ) -> None:
        # Models that consume context were published with zeros around the recording.
        self._grid = ChunkGrid(
            chunk=settings.chunk,
            hop=settings.hop,
            step=settings.step,
            context=model.context,
            padding="zeros" if model.context else "reflect",
        )
        self._infer = infer
        shape = (len(model.stems), model.audio_channels)
        self._overlap_add = OverlapAdd(shape, settings.chunk, settings.hop)
        self._batch_size = settings.batch_size
        self._delay = self._end = delay
        self._held = np.zeros((model.audio_channels, delay + model.context), np.float32)
        self._done = 0

    def push(self, block: Samples) -> list[Samples]:
        """Take samples; return the estimates that are final."""
        if block.ndim != 2 or len(block) != len(self._held):
            raise ValueError(f"expected samples [{len(self._held)}, n], got {block.shape}")
        self._end += block.shape[-1]
        self._held = np.concatenate([self._held, block.astype(np.float32, copy=False)], -1)
        pieces = []
        while self._end >= self._grid.needed(self._done + self._batch_size):
            pieces.append(self._advance(self._batch_size))
        return pieces

    def finish(self) -> list[Samples]:
        """Return the remaining estimates."""
        if self._end == self._delay:
            return []
        count = self._grid.count(self._end)
        self._pad(max(0, self._grid.needed(count) - self._end))
        pieces = []
        while left := count - self._done:
            lookback = self._grid.lookback(self._end) if left <= self._batch_size else 0
            pieces.append(self._advance(min(left, self._batch_size), lookback))
        pieces.append(self._clip(self._overlap_add.finish(), self._grid.start(count)))
        return [piece for piece in pieces if piece.shape[-1]]

    def _pad(self, missing: int) -> None:
        """Pad past the end: by reflection as far as the mixture reaches, then with zeros."""
        reflected = self._held[:, ::-1][:, : missing if self._grid.padding == "reflect" else 0]
        zeros = np.zeros((len(self._held), missing - reflected.shape[-1]), np.float32)
        self._held = np.concatenate([self._held, reflected, zeros], -1)

    def _advance(self, chunks: int, lookback: int = 0) -> Samples:
        """Separate the next chunks, the last one moved by ``lookback``; return what is final."""
        grid = self._grid
        starts = [grid.start(self._done + index) for index in range(chunks)]
        begins = [start - self._first for start in starts]
        begins[-1] -= lookback
        windows = np.stack([self._held[:, begin : begin + grid.window] for begin in begins])
        estimates = self._infer(windows)
        if lookback:
            estimates[-1] = np.roll(estimates[-1], -lookback, -1)  # what wraps is past the end
        final = np.concatenate([self._overlap_add.add(estimate) for estimate in estimates], -1)
        forgotten = self._first
        self._done += chunks
        self._held = self._held[:, self._first - forgotten :].copy()
        return self._clip(final, starts[0])

    @property
    def _first(self) -> int:
        """Start of the earliest chunk that the held mixture allows."""
        return self._grid.start(max(0, self._done - 1))

    def _clip(self, samples: Samples, start: int) -> Samples:
        """Drop what lies before and after the recording of samples that begin at ``start``."""
        return samples[..., max(0, self._delay - start) : max(0, self._end - start)]
