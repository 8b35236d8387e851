"""A model, a device and a quality, ready to separate any number of recordings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._types import Progress, Samples
from ..devices import choose_device, choose_precision
from ..errors import UnmixError
from ..models import Model
from ..stems import with_residual
from ..weights.load import load_model, name_of
from ..weights.manifest import DEFAULT, find_weights
from .recording import Recording
from .stream import SeparationSettings

#: Name of a model that is handed over as such.
CUSTOM = "custom"
# Samples handed on at once: a few seconds, so that progress moves and memory does not.
_BLOCK = 1 << 18
# More are a layout [sample, channel] that was not transposed.
_MOST_CHANNELS = 64


@dataclass(frozen=True)
class Quality:
    """What one word says of how carefully to separate."""

    overlap: float
    """Share of a chunk that it has in common with the next."""
    shifts: int
    """Passes over differently cut copies of the recording."""
    precision: str
    """``auto``: 16 bits where the device is fast in them."""


QUALITIES = {
    "fast": Quality(overlap=0.05, shifts=1, precision="auto"),
    "balanced": Quality(overlap=0.125, shifts=1, precision="auto"),
    "best": Quality(overlap=0.5, shifts=2, precision="fp32"),
}


class RecordingSeparator:
    """Separates recordings of any length, rate and number of channels.

    Made once, used for any number of recordings, from any number of threads: separating changes
    nothing in it.

    Args:
        model: name of a model of the package or in the cache; path of a ``.safetensors`` file, of a
            folder with one, or of a training checkpoint; or a ``Model``, which is moved to the
            device and put in evaluation mode.
        device: ``auto`` (the first of cuda, mps, cpu that is there), or the name of one.
        quality: ``fast``, ``balanced`` or ``best``; the options below override what it stands for.
        chunk: seconds that the model sees at once; what the model likes best where not given.
        overlap: share of a chunk in common with the next, 0 <= overlap < 1.
        shifts: passes over differently cut copies, whose average is returned; each costs one time.
        batch_size: chunks computed at once; halved on its own when memory runs out.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        wiener: iterations of the multichannel Wiener filter after a model that works on frames,
            0 for none; as the model says where not given.

    Raises:
        UnmixError: for an unknown model, device, quality or precision, an option out of range, or
            one that the model has not.
    """

    def __init__(
        self,
        model: str | Path | Model = DEFAULT,
        *,
        device: str = "auto",
        quality: str = "balanced",
        chunk: float | None = None,
        overlap: float | None = None,
        shifts: int | None = None,
        batch_size: int | None = None,
        precision: str | None = None,
        wiener: int | None = None,
    ) -> None:
        if quality not in QUALITIES:
            raise UnmixError(f"unknown quality {quality!r}; choose from {', '.join(QUALITIES)}")
        preset = QUALITIES[quality]
        self.device = choose_device(device)
        if isinstance(model, Model):
            if wiener is not None:
                raise UnmixError("wiener is for models that are loaded; build this one with it")
            self.model_name, loaded = CUSTOM, model
        else:
            found = find_weights(model) or model
            self.model_name = name_of(found)
            loaded = load_model(found, settings=None if wiener is None else {"wiener": wiener})
        # Convolutions on the CPU are faster when their weights have the layout of their features.
        self._model = loaded.to(self.device).to(memory_format=torch.channels_last).eval()
        try:
            self._settings = SeparationSettings(
                chunk=_chunk(loaded, chunk),
                step=loaded.step,
                overlap=preset.overlap if overlap is None else overlap,
                shifts=preset.shifts if shifts is None else shifts,
                batch_size=_batch_size(self.device.type) if batch_size is None else batch_size,
                precision=choose_precision(precision or preset.precision, self.device),
            )
        except ValueError as error:
            raise UnmixError(str(error)) from None

    @property
    def model(self) -> Model:
        """The model that estimates the stems."""
        return self._model

    @property
    def settings(self) -> SeparationSettings:
        """How recordings are cut and computed."""
        return self._settings

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems that come out: the model's, and what remains of the mixture."""
        return with_residual(self._model.stems)

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        """Yield stems as they become final, in memory that does not grow with the recording.

        Args:
            blocks: the recording in pieces ``[C, n]`` of any size, in [-1, 1]; C must not change.
                NaN and infinity count as zero.
            sample_rate: Hz.

        Yields:
            Every stem by name, ``[C, m]``. Joined, each has exactly the recording's samples; the
            vocals and the accompaniment sum to the recording. The result does not depend, to the
            bit, on how the recording is cut into blocks.

        Raises:
            UnmixError: for a block of another shape or type, or a rate that is no whole number.
        """
        if int(sample_rate) != sample_rate or sample_rate < 1:
            raise UnmixError(f"a sample rate of {sample_rate} Hz: give a whole number above 0")
        recording: Recording | None = None
        for block in blocks:
            samples = _checked(block, (2,))
            if recording is None:
                recording = Recording(self._model, self._settings, int(sample_rate), len(samples))
            stems = recording.push(samples)
            if next(iter(stems.values())).shape[-1]:
                yield stems
        if recording is not None:
            yield recording.finish()

    def separate(
        self, samples: ArrayLike, sample_rate: int, *, progress: Progress | None = None
    ) -> dict[str, Samples]:
        """Return the stems of samples in memory.

        Args:
            samples: ``[C, N]`` or, for mono, ``[N]``, in [-1, 1]. They are not changed.
            sample_rate: Hz.
            progress: called with the fraction that is done, in [0, 1]. What it raises ends the
                separation.

        Returns:
            Every stem by name, float32, of the shape of ``samples``.

        Raises:
            UnmixError: for samples of another shape, without channels, or that are not real
                numbers.
        """
        mixture = _checked(samples, (1, 2))
        length = mixture.shape[-1]
        pieces: dict[str, list[Samples]] = {name: [] for name in self.stems}
        for stems in self.stream(_blocks(mixture), sample_rate):
            for name, piece in stems.items():
                pieces[name].append(piece)
            if progress and length:
                progress(min(1.0, sum(p.shape[-1] for p in pieces[name]) / length))
        shape = np.shape(samples)
        return {name: np.concatenate(held, -1).reshape(shape) for name, held in pieces.items()}


def _checked(samples: ArrayLike, dimensions: tuple[int, ...]) -> Samples:
    array = np.asarray(samples)
    if array.ndim not in dimensions or array.dtype.kind != "f":
        raise UnmixError(
            "expected samples [channel, sample] of floating point in [-1, 1], "
            f"got {array.dtype} {array.shape}"
        )
    array = np.atleast_2d(array)
    if not array.shape[0] or array.shape[0] > _MOST_CHANNELS:
        raise UnmixError(f"expected samples [channel, sample], got {array.shape}; transposed?")
    return array.astype(np.float32, copy=False)


def _blocks(samples: Samples) -> Iterator[Samples]:
    """Yield a view of each piece; one empty piece for an empty recording."""
    for start in range(0, max(samples.shape[-1], 1), _BLOCK):
        yield samples[:, start : start + _BLOCK]


def _chunk(model: Model, seconds: float | None) -> int:
    """Return how many samples to estimate at once, of a length that suits the model.

    A model that consumes context does that work again for every chunk: one that is much longer
    than the context wastes little.
    """
    if seconds is None:
        wanted = max(model.chunk, 4 * model.context)
    else:
        wanted = round(seconds * model.sample_rate)
    if model.step == 1:
        return wanted
    chunk = model.chunk + -(-(wanted - model.chunk) // model.step) * model.step
    return max(chunk, model.step + chunk % model.step)


def _batch_size(device: str) -> int:
    return 4 if device == "cpu" else 16
