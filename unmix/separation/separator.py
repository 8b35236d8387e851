"""A model on a device, ready to separate any number of recordings."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from .. import devices
from .._types import Progress, Samples
from ..devices import choose_device, choose_precision
from ..errors import UnmixError
from ..models import Model
from ..stems import with_residual
from ..weights import DEFAULT
from ..weights.load import load_model, name_of
from ..weights.manifest import find_weights
from .arrays import as_samples, check_rate
from .inference import Spare
from .recording import Recording
from .stream import SeparationSettings

#: Name of a model that is passed as a ``Model`` instead of by name or path.
CUSTOM = "custom"
# Samples processed at once: a few seconds, so that progress is reported often.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Quality:
    """A named trade-off between speed and quality."""

    overlap: float
    """Fraction of a chunk shared with the next."""
    shifts: int
    """Passes over the recording, each with its chunks in other places; the result is the mean."""
    precision: str
    """Arithmetic precision; ``auto`` is 16 bits where the device is fast at it."""


QUALITIES = {
    "fast": Quality(overlap=0.05, shifts=1, precision="auto"),
    "balanced": Quality(overlap=0.125, shifts=1, precision="auto"),
    "best": Quality(overlap=0.5, shifts=2, precision="fp32"),
}


class RecordingSeparator:
    """Separates recordings of any length, sample rate and number of channels.

    Load it once and use it for any number of recordings. It can be shared between threads.

    Args:
        model: name of a model in the package or the cache; path of a ``.safetensors`` file, of a
            folder that holds one, or of a training checkpoint; or a ``Model``, which is moved to
            the device and put in evaluation mode.
        device: ``auto`` (the first available of cuda, mps and cpu), or a device name.
        quality: ``fast``, ``balanced`` or ``best``. The options below override its settings.
        chunk: seconds that the model sees at once (default: the model's own).
        overlap: fraction of a chunk shared with the next, 0 <= overlap < 1.
        shifts: passes over the recording, each with its chunks in other places; the result is
            their mean, and the time grows with their number.
        batch_size: chunks computed at once; halved automatically when memory runs out.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        wiener: iterations of the multichannel Wiener filter after a spectrogram model, 0 for none
            (default: the model's own).

    Raises:
        UnmixError: a model, device, quality or precision is unknown, or an option is out of range
            or not available for the model.
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
                raise UnmixError(
                    "wiener applies to models given by name or path; set it in this model's config"
                )
            self.model_name, loaded = CUSTOM, model
        else:
            found = find_weights(model) or model
            self.model_name = name_of(found)
            loaded = load_model(found, settings=None if wiener is None else {"wiener": wiener})
        # Convolutions on the CPU are faster when weights and features share a memory layout.
        loaded = loaded.to(memory_format=torch.channels_last).eval()
        asked = precision or preset.precision
        self._spare: Spare | None = None
        if device == "auto" and self.device.type != "cpu":
            self._spare = self._spared(loaded, asked, batch_size)
        self._model = self._placed(loaded)
        try:
            self._settings = SeparationSettings(
                chunk=_chunk(loaded, chunk),
                step=loaded.step,
                overlap=preset.overlap if overlap is None else overlap,
                shifts=preset.shifts if shifts is None else shifts,
                batch_size=_batch_size(self.device.type) if batch_size is None else batch_size,
                precision=self._precision(asked),
            )
        except ValueError as error:
            raise UnmixError(str(error)) from None

    def _precision(self, asked: str) -> str:
        if self._spare is not None and self._spare.used:  # the CPU does not support all of them
            return self._spare.precision
        return choose_precision(asked, self.device)

    def _spared(self, model: Model, precision: str, batch_size: int | None) -> Spare:
        """Return the model on the CPU: of a device that has failed, weights cannot be had back."""
        cpu = torch.device("cpu")
        own = choose_precision("fp32" if precision == "fp16" else precision, cpu)
        size = _batch_size("cpu") if batch_size is None else max(1, batch_size)
        return Spare(copy.deepcopy(model).to(cpu), own, size, self._leave_device)

    def _placed(self, model: Model) -> Model:
        """Return the model on the device, or the spare if that fails."""
        try:
            return devices.accelerator.place(model, self.device)
        except (RuntimeError, MemoryError) as error:
            if self._spare is None:
                reason = devices.first_line(error)
                raise UnmixError(devices.failed(self.device, reason)) from error
            spare = self._spare
            spare.use(self.device, error)
            return spare.model

    def _leave_device(self) -> None:
        assert self._spare is not None
        self._model, self.device = self._spare.model, torch.device("cpu")

    @property
    def model(self) -> Model:
        """The model that estimates the stems."""
        return self._model

    @property
    def settings(self) -> SeparationSettings:
        """How recordings are cut into chunks and computed."""
        return self._settings

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems: the model's, and the residual."""
        return with_residual(self._model.stems)

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        """Yield stems as they become final; memory use does not depend on the length.

        Args:
            blocks: the recording in pieces ``[C, n]`` of any size, in [-1, 1]; C must not change.
                NaN and infinity count as zero.
            sample_rate: in Hz.

        Yields:
            The next samples ``[C, m]`` of every stem, by name. Joined, each stem is as long as the
            recording, and vocals and accompaniment sum to it. How the recording is cut into blocks
            does not change a bit of the result.

        Raises:
            UnmixError: a block has another shape or type, or the sample rate is not a whole number.
        """
        check_rate(sample_rate)
        recording: Recording | None = None
        for block in blocks:
            samples = as_samples(block, (2,))
            if recording is None:
                recording = Recording(
                    self._model,
                    self._settings,
                    int(sample_rate),
                    len(samples),
                    spare=self._spare,
                    device=self.device,
                )
            stems = recording.push(samples)
            if next(iter(stems.values())).shape[-1]:
                yield stems
        if recording is not None:
            yield recording.finish()

    def separate(
        self, samples: ArrayLike, sample_rate: int, *, progress: Progress | None = None
    ) -> dict[str, Samples]:
        """Return the stems of a recording in memory.

        Args:
            samples: ``[C, N]`` or, for mono, ``[N]``, in [-1, 1], of an array or a tensor on any
                device; integers of 8 (unsigned), 16 or 32 bits count as fractions of their full
                scale. They are not changed.
            sample_rate: in Hz.
            progress: called with the fraction done, in [0, 1]. An exception that it raises stops
                the separation and is passed on.

        Returns:
            Every stem by name, float32, with the shape of ``samples``.

        Raises:
            UnmixError: the samples have another shape or type, or no channels.
        """
        mixture = as_samples(samples, (1, 2))
        length = mixture.shape[-1]
        pieces: dict[str, list[Samples]] = {name: [] for name in self.stems}
        for stems in self.stream(_blocks(mixture), sample_rate):
            for name, piece in stems.items():
                pieces[name].append(piece)
            if progress and length:
                progress(min(1.0, sum(p.shape[-1] for p in pieces[name]) / length))
        shape = tuple(samples.shape) if hasattr(samples, "shape") else np.shape(samples)
        return {name: np.concatenate(held, -1).reshape(shape) for name, held in pieces.items()}


def _blocks(samples: Samples) -> Iterator[Samples]:
    """Yield views of the samples; a single empty one for an empty recording."""
    for start in range(0, max(samples.shape[-1], 1), _BLOCK):
        yield samples[:, start : start + _BLOCK]


def _chunk(model: Model, seconds: float | None) -> int:
    """Return the length of a chunk in samples, rounded to one that suits the model.

    A model that consumes context computes it again for every chunk, so the default chunk is
    several times as long as the context.
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
