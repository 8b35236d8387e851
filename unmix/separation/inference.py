"""Windows of the mixture through the model, in batches that fit the memory."""

from __future__ import annotations

import numpy as np
import torch

from .._types import Samples
from ..devices import autocast, flushed_denormals, is_out_of_memory
from ..models import Model


class Inference:
    """Runs a model on windows of the mixture.

    Args:
        model: in evaluation mode, on the device to compute on.
        batch_size: windows computed at once; halved when memory runs out.
        precision: ``fp32``, ``bf16`` or ``fp16``.
    """

    def __init__(self, model: Model, batch_size: int, precision: str) -> None:
        self._model = model
        self._device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self._batch_size = batch_size
        self._precision = precision

    def __call__(self, windows: Samples) -> Samples:
        """Return the estimates ``[n, S, C, N - 2 * context]`` of windows ``[n, C, N]``.

        Silence in is silence out, and every estimate is a finite number.
        """
        while True:
            try:
                batches = torch.from_numpy(windows).split(self._batch_size)
                return np.concatenate([self._estimate(batch) for batch in batches])
            except RuntimeError as error:
                if self._batch_size == 1 or not is_out_of_memory(error):
                    raise
            self._batch_size = max(1, self._batch_size // 2)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _estimate(self, batch: torch.Tensor) -> Samples:
        estimates = self._run(batch, self._precision)
        if self._precision != "fp32" and not estimates.isfinite().all():
            estimates = self._run(batch, "fp32")  # 16 bits may overflow where 32 do not
        # A network with biases makes sound of silence.
        estimates = estimates * batch.any(-1).any(-1)[:, None, None, None]
        # Replace NaN and infinity with zero: samples near the largest float overflow in any model.
        return estimates.nan_to_num(0.0, 0.0, 0.0).numpy()

    def _run(self, batch: torch.Tensor, precision: str) -> torch.Tensor:
        with torch.inference_mode(), flushed_denormals(), autocast(self._device, precision):
            estimates: torch.Tensor = self._model(batch.to(self._device))
            return estimates.float().cpu()
