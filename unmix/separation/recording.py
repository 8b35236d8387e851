"""A recording of any sample rate and number of channels, separated block by block.

The model sees the recording resampled, in groups of channels. The estimates return to the
recording's own rate and channels, and the residual is computed there: the stems sum to the
recording exactly, and what the model cannot see (above its band or its rate) is in the residual.
Estimates of vocals, drums, bass and other share it, so that these sum to the recording too.
"""

from __future__ import annotations

import numpy as np
import torch

from .._types import Samples
from ..audio import Resampler, channel_groups
from ..models import Model, own_defaults
from ..stems import ACCOMPANIMENT, ALL_FOUR, VOCALS, in_order, residual_name
from .inference import Spare
from .stream import Separation, SeparationSettings


class Recording:
    """Separates one recording: blocks of samples in, blocks of stems out.

    Args:
        model: in evaluation mode, on the device to compute on.
        settings: how to cut the recording into chunks and compute them.
        sample_rate: of the recording, in Hz.
        channels: number of channels of the recording.
        spare: where to go on when the device fails; default: that is an error.
        device: what the model is on; default: where its weights are.
    """

    @own_defaults()
    def __init__(
        self,
        model: Model,
        settings: SeparationSettings,
        sample_rate: int,
        channels: int,
        spare: Spare | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._model = model
        self._channels = channels
        self._mixture = np.zeros((channels, 0), np.float32)
        self._lanes = [
            _Lane(model, Separation(model, settings, spare, device), sample_rate, group)
            for group in _groups(channels, model.audio_channels)
        ]

    @own_defaults()
    def push(self, block: Samples) -> dict[str, Samples]:
        """Take samples ``[C, n]`` in [-1, 1]; return the next samples ``[C, m]`` of every stem.

        NaN and infinity count as zero.

        Raises:
            ValueError: the block does not have the recording's channels.
        """
        if block.ndim != 2 or block.shape[0] != self._channels:
            raise ValueError(f"expected samples [{self._channels}, n], got {block.shape}")
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32, copy=False)
        self._mixture = np.concatenate([self._mixture, block], -1)
        for lane in self._lanes:
            lane.push(block)
        return self._deliver(min(lane.ready for lane in self._lanes))

    @own_defaults()
    def finish(self) -> dict[str, Samples]:
        """Return the remaining samples of every stem, which then has as many as came in."""
        left = self._mixture.shape[-1]
        for lane in self._lanes:
            lane.finish(left)
        return self._deliver(left)

    def _deliver(self, count: int) -> dict[str, Samples]:
        # Resampling there and back may round up to one sample more than the recording has.
        count = min(count, self._mixture.shape[-1])
        mixture, self._mixture = np.split(self._mixture, [count], -1)
        estimates = np.empty((len(self._model.stems), self._channels, count), np.float32)
        for lane in self._lanes:
            estimates[:, lane.group] = lane.take(count)
        stems = dict(zip(self._model.stems, estimates, strict=True))
        if stems.keys() >= set(ALL_FOUR):
            _complete(stems, mixture)
        residual = residual_name(stems)
        if residual == ACCOMPANIMENT:
            stems[residual] = mixture - stems[VOCALS]
        elif residual == VOCALS:
            stems[residual] = mixture - stems[ACCOMPANIMENT]
        else:
            stems[residual] = mixture - estimates.sum(0)
        return {name: stems[name] for name in in_order(stems)}


def _complete(stems: dict[str, Samples], mixture: Samples) -> None:
    """Let estimates of all sources sum to the mixture: each takes an equal share of the rest."""
    share = (mixture - sum(stems.values())) / np.float32(len(stems))
    for samples in stems.values():
        samples += share


class _Lane:
    """One group of channels: to the model's rate and channels, through the model, and back."""

    def __init__(
        self, model: Model, separation: Separation, sample_rate: int, group: tuple[int, ...]
    ) -> None:
        self.group = list(group)
        self._repeat = model.audio_channels // len(group)
        self._separation = separation
        self._stems = len(model.stems)
        self._to_model_rate = Resampler(sample_rate, model.sample_rate, len(group))
        self._from_model_rate = Resampler(model.sample_rate, sample_rate, self._stems * len(group))
        self._estimates = np.zeros((self._stems, len(group), 0), np.float32)

    @property
    def ready(self) -> int:
        """Number of samples that ``take`` can return."""
        return self._estimates.shape[-1]

    def push(self, block: Samples) -> None:
        """Separate samples ``[C, n]`` of the recording."""
        self._separate(self._to_model_rate.push(block[self.group]))

    def finish(self, length: int) -> None:
        """Separate what is left; make at least ``length`` samples ready."""
        self._separate(self._to_model_rate.finish())
        self._restore(self._separation.finish())
        self._append(self._from_model_rate.finish())
        missing = max(0, length - self.ready)
        self._estimates = np.pad(self._estimates, ((0, 0), (0, 0), (0, missing)))

    def take(self, count: int) -> Samples:
        """Remove and return the first ``count`` samples ``[S, C, count]``."""
        taken, self._estimates = np.split(self._estimates, [count], -1)
        return taken

    def _separate(self, samples: Samples) -> None:
        self._restore(self._separation.push(np.repeat(samples, self._repeat, 0)))

    def _restore(self, pieces: list[Samples]) -> None:
        """Bring estimates back to the recording's rate and channels."""
        for estimates in pieces:
            # A mono channel goes in twice; the mean of its two estimates comes out.
            shape = (self._stems, len(self.group), self._repeat, estimates.shape[-1])
            own = estimates.reshape(shape).mean(2) if self._repeat > 1 else estimates
            self._append(self._from_model_rate.push(own.reshape(-1, own.shape[-1])))

    def _append(self, samples: Samples) -> None:
        samples = samples.reshape(self._stems, len(self.group), -1)
        self._estimates = np.concatenate([self._estimates, samples], -1)


def _groups(channels: int, width: int) -> tuple[tuple[int, ...], ...]:
    """Return the channels of a recording that go through the model together, group by group."""
    if width == 2:
        return channel_groups(channels)
    return tuple((channel,) for channel in range(channels))
