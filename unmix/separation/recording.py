"""A recording of any rate and channels on its way through a model that has its own.

The model sees the recording resampled and in pairs of channels; the stems come back at the
recording's own rate and channels, and what remains of the recording is its accompaniment. So the
stems sum to the recording exactly, and whatever the model cannot see (above its band, above its
rate) stays in the accompaniment.
"""

from __future__ import annotations

import numpy as np

from .._types import Samples
from ..audio import Resampler, channel_groups
from ..models import Model
from ..stems import ACCOMPANIMENT, VOCALS, in_order, residual_name
from .stream import Separation, SeparationSettings


class Recording:
    """One recording, from blocks to blocks of stems.

    Args:
        model: in evaluation mode, on the device to compute on.
        settings: how the model's chunks are cut.
        sample_rate: of the recording, Hz.
        channels: of the recording.
    """

    def __init__(
        self, model: Model, settings: SeparationSettings, sample_rate: int, channels: int
    ) -> None:
        self._model = model
        self._channels = channels
        self._mixture = np.zeros((channels, 0), np.float32)
        self._lanes = [
            _Lane(model, settings, sample_rate, group)
            for group in _groups(channels, model.audio_channels)
        ]

    def push(self, block: Samples) -> dict[str, Samples]:
        """Take samples ``[C, n]`` in [-1, 1]; return the next of every stem ``[C, m]``, m >= 0.

        Samples that are no finite numbers count as zero.

        Raises:
            ValueError: for another number of channels than was announced.
        """
        if block.ndim != 2 or block.shape[0] != self._channels:
            raise ValueError(f"expected samples [{self._channels}, n], got {block.shape}")
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32, copy=False)
        self._mixture = np.concatenate([self._mixture, block], -1)
        for lane in self._lanes:
            lane.push(block)
        return self._deliver(min(lane.ready for lane in self._lanes))

    def finish(self) -> dict[str, Samples]:
        """Return the rest of every stem: after it, as many samples are out as came in."""
        left = self._mixture.shape[-1]
        for lane in self._lanes:
            lane.finish(left)
        return self._deliver(left)

    def _deliver(self, count: int) -> dict[str, Samples]:
        # Resampling there and back may round to one sample more than there are.
        count = min(count, self._mixture.shape[-1])
        mixture, self._mixture = np.split(self._mixture, [count], -1)
        estimates = np.empty((len(self._model.stems), self._channels, count), np.float32)
        for lane in self._lanes:
            estimates[:, lane.group] = lane.take(count)
        stems = dict(zip(self._model.stems, estimates, strict=True))
        residual = residual_name(stems)
        if residual == ACCOMPANIMENT:
            stems[residual] = mixture - stems[VOCALS]
        elif residual == VOCALS:
            stems[residual] = mixture - stems[ACCOMPANIMENT]
        else:
            stems[residual] = mixture - estimates.sum(0)
        return {name: stems[name] for name in in_order(stems)}


class _Lane:
    """One group of a recording's channels: to the model's rate and channels, and back."""

    def __init__(
        self, model: Model, settings: SeparationSettings, sample_rate: int, group: tuple[int, ...]
    ) -> None:
        self.group = list(group)
        self._repeat = model.audio_channels // len(group)
        self._separation = Separation(model, settings)
        self._stems = len(model.stems)
        self._there = Resampler(sample_rate, model.sample_rate, len(group))
        self._back = Resampler(model.sample_rate, sample_rate, self._stems * len(group))
        self._estimates = np.zeros((self._stems, len(group), 0), np.float32)

    @property
    def ready(self) -> int:
        """Samples of every estimate that wait to be taken."""
        return self._estimates.shape[-1]

    def push(self, block: Samples) -> None:
        self._add(self._separation.push(self._to_model(self._there.push(block[self.group]))))

    def finish(self, length: int) -> None:
        """End the lane; make exactly ``length`` samples ready."""
        self._add(self._separation.push(self._to_model(self._there.finish())))
        self._add(self._separation.finish())
        self._append(self._back.finish())
        missing = max(0, length - self.ready)
        self._estimates = np.pad(self._estimates, ((0, 0), (0, 0), (0, missing)))

    def take(self, count: int) -> Samples:
        """Return and forget the first ``count`` samples ``[S, C, count]``."""
        taken, self._estimates = np.split(self._estimates, [count], -1)
        return taken

    def _to_model(self, samples: Samples) -> Samples:
        return np.repeat(samples, self._repeat, 0)

    def _add(self, pieces: list[Samples]) -> None:
        for estimates in pieces:
            # A mono channel went in twice; the mean of its two estimates comes out.
            shape = (self._stems, len(self.group), self._repeat, estimates.shape[-1])
            own = estimates.reshape(shape).mean(2) if self._repeat > 1 else estimates
            self._append(self._back.push(own.reshape(-1, own.shape[-1])))

    def _append(self, samples: Samples) -> None:
        samples = samples.reshape(self._stems, len(self.group), -1)
        self._estimates = np.concatenate([self._estimates, samples], -1)


def _groups(channels: int, width: int) -> tuple[tuple[int, ...], ...]:
    """Return which channels of a recording go through the model together."""
    if width == 2:
        return channel_groups(channels)
    return tuple((channel,) for channel in range(channels))
