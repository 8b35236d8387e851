"""Any length of samples to stems, at the model's own rate and channels: chunks, fades, batches.

A stream of blocks comes in, a stream of blocks goes out, and what is held between them depends on
the settings, never on the length of the recording. Where the blocks are cut makes no difference to
any bit of the result: chunks lie on a fixed grid and are batched in fixed groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from .._types import Samples
from ..devices import autocast, flushed_denormals, is_out_of_memory
from ..models import Model


@dataclass(frozen=True, kw_only=True)
class SeparationSettings:
    """How a recording is cut and computed."""

    chunk: int
    """Samples of the estimates of one chunk."""
    overlap: float = 0.25
    """Share of a chunk that it has in common with the next, 0 <= overlap < 1."""
    shifts: int = 1
    """Passes over differently cut copies of the recording, whose average is returned."""
    batch_size: int = 4
    """Chunks computed at once; halved when memory runs out."""
    precision: str = "fp32"
    """``fp32``, ``bf16`` or ``fp16``."""
    step: int = 1
    """Samples that the starts of chunks are multiples of, so that all are cut on one grid."""

    def __post_init__(self) -> None:
        if min(self.chunk, self.shifts, self.batch_size, self.step) < 1:
            raise ValueError("chunk, shifts, batch_size and step must be at least 1")
        if self.step > self.chunk:
            raise ValueError(f"chunk must be at least {self.step} samples for this model")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap must be at least 0 and below 1, got {self.overlap}")

    @property
    def hop(self) -> int:
        """Samples from the start of one chunk to the start of the next."""
        return max(self.step, round(self.chunk * (1 - self.overlap)) // self.step * self.step)


def separate_blocks(
    model: Model, blocks: Iterable[Samples], settings: SeparationSettings
) -> Iterator[Samples]:
    """Yield the estimates of a recording as they become final.

    Args:
        model: in evaluation mode, on the device to compute on.
        blocks: the recording, in pieces ``[C, n]`` of any size, at the model's rate and channels.
        settings: how to cut it.

    Yields:
        Pieces ``[S, C, n]`` that join to exactly as many samples as came in.
    """
    separation = Separation(model, settings)
    for block in blocks:
        yield from separation.push(block)
    yield from separation.finish()


class Separation:
    """The same, for a caller that pushes: one recording on its way through a model.

    Args:
        model: in evaluation mode, on the device to compute on.
        settings: how to cut the recording.
    """

    def __init__(self, model: Model, settings: SeparationSettings) -> None:
        delays = [settings.hop * shift // settings.shifts for shift in range(settings.shifts)]
        self._passes = [_Pass(model, settings, delay) for delay in delays]
        self._average = _Average(len(self._passes))

    def push(self, block: Samples) -> list[Samples]:
        """Take samples ``[C, n]``; return the estimates ``[S, C, m]`` that are final by now."""
        return self._average([one.push(block) for one in self._passes])

    def finish(self) -> list[Samples]:
        """Return the rest of the estimates: after it, as many samples are out as came in."""
        return self._average([one.finish() for one in self._passes])


def fade(chunk: int, overlap: int) -> Samples:
    """Return the weight of each sample of a chunk ``[chunk]`` when chunks are added up.

    A raised cosine over ``overlap`` samples at either end, 1 between. It never reaches zero, so
    that the first and the last samples of a recording, which one chunk alone covers, keep their
    level.
    """
    rise = np.sin(0.5 * np.pi * (np.arange(overlap) + 0.5) / max(overlap, 1)) ** 2
    weight = np.ones(chunk, np.float64)
    weight[:overlap] = rise
    weight[chunk - overlap :] = np.minimum(weight[chunk - overlap :], rise[::-1])
    return np.maximum(weight, 1e-4).astype(np.float32)


class _Average:
    """The mean of several streams of samples, as far as all of them have come."""

    def __init__(self, streams: int) -> None:
        self._held: list[list[Samples]] = [[] for _ in range(streams)]

    def __call__(self, pieces: list[list[Samples]]) -> list[Samples]:
        """Take the next pieces of each stream; return the mean of what has come of all."""
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


class _Pass:
    r"""One walk over the recording, on a grid of chunks that starts ``delay`` samples before it.

        chunk 0   /-----\          A fade never reaches zero, so dividing by the summed
        chunk 1       /-----\      fades gives the mixture back exactly wherever the
        chunk 2           /-----\  model is the identity.
                  |hop|

    Time is counted from the start of the grid. ``_start`` is where the next chunk begins;
    ``_heard[:, _past:]`` are samples from ``context`` before it on, ``_heard[:, :_past]`` those
    before these, at most as many as a chunk has, and ``_sum`` is what earlier chunks left.
    """

    def __init__(self, model: Model, settings: SeparationSettings, delay: int) -> None:
        self._model = model
        self._settings = settings
        self._device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self._batch_size = settings.batch_size
        self._overlap = settings.chunk - settings.hop
        self._fade = fade(settings.chunk, self._overlap)
        self._start = 0
        self._delay = self._skip = delay
        self._end = delay
        shape = (len(model.stems), model.audio_channels, self._overlap)
        self._heard = np.zeros((model.audio_channels, delay + model.context), np.float32)
        self._past = 0
        self._sum = np.zeros(shape, np.float32)
        self._weight = np.zeros(self._overlap, np.float32)

    def push(self, block: Samples) -> list[Samples]:
        """Take samples in; return what no later chunk will touch."""
        if block.ndim != 2 or block.shape[0] != self._model.audio_channels:
            raise ValueError(
                f"expected samples [{self._model.audio_channels}, n], got {block.shape}"
            )
        self._end += block.shape[-1]
        self._heard = np.concatenate([self._heard, block.astype(np.float32, copy=False)], -1)
        pieces = []
        while self._ahead >= self._needed(self._settings.batch_size):
            pieces.append(self._advance(self._settings.batch_size))
        return pieces

    def finish(self) -> list[Samples]:
        """Return all that is left; the last chunk sees more of what came before, not of nothing."""
        if self._end == self._delay:
            return []
        pieces: list[Samples] = []
        if self._chunks_left():
            self._extend(self._needed(self._chunks_left()) - self._ahead)
        while chunks := min(self._chunks_left(), self._settings.batch_size):
            last = chunks == self._chunks_left()
            pieces.append(self._advance(chunks, self._lookback(chunks) if last else 0))
        left = self._end - self._start
        if left > 0:  # the fading end of the last chunk is all that covers these samples
            pieces.append(self._deliver(self._sum[..., :left] / self._weight[:left]))
        elif pieces:
            pieces[-1] = pieces[-1][..., : pieces[-1].shape[-1] + left]
        return pieces

    def _lookback(self, chunks: int) -> int:
        """Return how much earlier the last of the chunks may begin, to end with the recording.

        A chunk that is mostly silence is unlike what a model was trained on, and its level is less.
        A model that consumes context has what it needs.
        """
        if self._model.context:
            return 0
        begin = (chunks - 1) * self._settings.hop
        excess = self._start + begin + self._settings.chunk - self._end
        step = self._model.step
        return max(0, min(excess, self._past + begin) // step * step)

    def _extend(self, missing: int) -> None:
        """Go on beyond the end: with the recording backwards, which counts where it is shorter than
        a chunk, then with zeros. Models that consume context were published with zeros around.
        """
        missing = max(missing, 0)
        mirrored = self._heard[:, ::-1][:, : 0 if self._model.context else missing]
        rest = np.zeros((len(mirrored), missing - mirrored.shape[-1]), np.float32)
        self._heard = np.concatenate([self._heard, mirrored, rest], -1)

    @property
    def _ahead(self) -> int:
        """How many samples from the next chunk on have come."""
        return self._heard.shape[-1] - self._past

    def _chunks_left(self) -> int:
        """Return how many more chunks cover the recording to its end."""
        hop = self._settings.hop
        return max(1, -(-(self._end - self._overlap) // hop)) - self._start // hop

    def _needed(self, chunks: int) -> int:
        """Return how many samples of the mixture this many chunks take."""
        settings = self._settings
        return (chunks - 1) * settings.hop + settings.chunk + 2 * self._model.context

    def _advance(self, chunks: int, lookback: int = 0) -> Samples:
        """Separate the next chunks; return the samples that they complete.

        The last of them is heard from ``lookback`` samples earlier on; of its estimate counts what
        it is there for, up to the recording's end.
        """
        settings, context = self._settings, self._model.context
        size = settings.chunk + 2 * context
        starts = [i * settings.hop for i in range(chunks)]
        froms = [self._past + start for start in starts]
        froms[-1] -= lookback
        windows = np.stack([self._heard[:, start : start + size] for start in froms])
        estimates = self._estimate(windows)
        if lookback:
            estimates[-1] = np.roll(estimates[-1], -lookback, -1)  # what wraps lies beyond the end
        span = starts[-1] + settings.chunk
        total = np.pad(self._sum, ((0, 0), (0, 0), (0, span - self._overlap)))
        weight = np.pad(self._weight, (0, span - self._overlap))
        for start, estimate in zip(starts, estimates, strict=True):
            total[..., start : start + settings.chunk] += estimate * self._fade
            weight[start : start + settings.chunk] += self._fade
        final = chunks * settings.hop
        self._sum, self._weight = total[..., final:].copy(), weight[final:].copy()
        gone = max(0, self._past + final - settings.chunk)
        self._heard = self._heard[:, gone:].copy()
        self._past += final - gone
        self._start += final
        return self._deliver(total[..., :final] / weight[:final])

    def _deliver(self, samples: Samples) -> Samples:
        """Drop what lies before the recording."""
        skipped = min(self._skip, samples.shape[-1])
        self._skip -= skipped
        return samples[..., skipped:]

    def _estimate(self, windows: Samples) -> Samples:
        """Return estimates ``[n, S, C, chunk]`` of windows, in batches that fit the memory."""
        while True:
            try:
                batches = torch.from_numpy(windows).split(self._batch_size)
                return np.concatenate([self._compute(batch) for batch in batches])
            except RuntimeError as error:
                if self._batch_size == 1 or not is_out_of_memory(error):
                    raise
            self._batch_size = max(1, self._batch_size // 2)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _compute(self, batch: torch.Tensor) -> Samples:
        estimates = self._run(batch, self._settings.precision)
        if self._settings.precision != "fp32" and not estimates.isfinite().all():
            estimates = self._run(batch, "fp32")  # what overflows 16 bits need not overflow 32
        # Silence in, silence out, whatever biases a network has.
        estimates = estimates * batch.any(-1).any(-1)[:, None, None, None]
        # Samples near the largest float overflow on the way: what is no number estimates nothing.
        return estimates.nan_to_num(0.0, 0.0, 0.0).numpy()

    def _run(self, batch: torch.Tensor, precision: str) -> torch.Tensor:
        with (
            torch.inference_mode(),
            flushed_denormals(),
            autocast(self._device, precision),
        ):
            estimates: torch.Tensor = self._model(batch.to(self._device))
            return estimates.float().cpu()
