"""Windows of the mixture through the model, in batches that fit the memory."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import numpy as np
import torch

from .. import devices
from .._types import Samples
from ..devices import flushed_denormals, is_out_of_memory
from ..errors import UnmixError
from ..models import Model


class Spare:
    """The same model on the CPU, for when the device fails; shared by all recordings.

    Args:
        model: in evaluation mode, on the CPU, not the one that is on the device.
        precision: ``fp32`` or ``bf16``.
        batch_size: windows computed at once.
        on_failure: called once, when the device has failed.
    """

    def __init__(
        self, model: Model, precision: str, batch_size: int, on_failure: Callable[[], None]
    ) -> None:
        self.model = model
        self.precision = precision
        self.batch_size = batch_size
        self.used = False
        self._on_failure = on_failure
        self._lock = Lock()

    def use(self, device: torch.device, error: Exception) -> None:
        """Let all recordings go on here from now on, and say it."""
        with self._lock:
            if self.used:
                return
            self.used = True
        devices.mark_broken(device, error)
        self._on_failure()
        devices.say_fallback(str(device), devices.first_line(error))


class Inference:
    """Runs a model on windows of the mixture.

    Args:
        model: in evaluation mode, on the device to compute on.
        batch_size: windows computed at once; halved when memory runs out.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        spare: where to go on when the device fails; default: that is an error.
        device: what the model is on; default: where its weights are.
    """

    def __init__(
        self,
        model: Model,
        batch_size: int,
        precision: str,
        spare: Spare | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._model = model
        own = next((p.device for p in model.parameters()), torch.device("cpu"))
        self._device = device or own
        self._batch_size = batch_size
        self._precision = precision
        self._spare = spare

    def __call__(self, windows: Samples) -> Samples:
        """Return the estimates ``[n, S, C, N - 2 * context]`` of windows ``[n, C, N]``.

        Silence in is silence out, and every estimate is a finite number.

        Raises:
            UnmixError: the device failed, or the memory does not suffice for one window.
        """
        while True:
            self._leave_failed_device()
            try:
                batches = torch.from_numpy(windows).split(self._batch_size)
                return np.concatenate([self._estimate(batch) for batch in batches])
            except (RuntimeError, MemoryError) as error:
                if self._batch_size == 1 or not is_out_of_memory(error):
                    self._give_up(error)
                    continue
            self._batch_size = max(1, self._batch_size // 2)
            try:
                devices.accelerator.empty_cache(self._device)
            except RuntimeError as error:
                self._give_up(error)

    def _leave_failed_device(self) -> None:
        spare = self._spare
        if spare is not None and spare.used:
            self._model, self._device = spare.model, torch.device("cpu")
            self._precision, self._batch_size = spare.precision, spare.batch_size
            self._spare = None

    def _give_up(self, error: RuntimeError | MemoryError) -> None:
        """Go on with the spare; raise if there is none."""
        if self._spare is not None:
            self._spare.use(self._device, error)
        elif self._device.type == "cpu" and not is_out_of_memory(error):
            raise error  # a fault of the model
        else:
            devices.mark_broken(self._device, error)
            reason = devices.first_line(error)
            raise UnmixError(devices.failed(self._device, reason)) from error

    def _estimate(self, batch: torch.Tensor) -> Samples:
        estimates = self._run(batch, self._precision)
        if self._precision != "fp32" and not estimates.isfinite().all():
            estimates = self._run(batch, "fp32")  # 16 bits may overflow where 32 do not
        # A network with biases makes sound of silence.
        estimates = estimates * batch.any(-1).any(-1)[:, None, None, None]
        # Replace NaN and infinity with zero: samples near the largest float overflow in any model.
        return estimates.nan_to_num(0.0, 0.0, 0.0).numpy()

    def _run(self, batch: torch.Tensor, precision: str) -> torch.Tensor:
        on, device = devices.accelerator, self._device
        with torch.inference_mode(), flushed_denormals(), on.autocast(device, precision):
            estimates: torch.Tensor = self._model(on.put(batch, device))
            return on.fetch(estimates)
