"""The numerical precision of training."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning.fabric.plugins.precision import MixedPrecision, Precision

FabricPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]
PrecisionChoice = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


def fabric_precision(asked: PrecisionChoice, device: str) -> FabricPrecision:
    """Return fabric's name of a precision; ``auto`` is 16-bit mixed if the device is fast in it."""
    if asked != "auto":
        return asked
    if device in ("auto", "cuda", "gpu") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    if device in ("auto", "mps") and torch.backends.mps.is_available():
        return "32-true"
    # Without these instructions, bfloat16 is emulated and several times slower than 32 bits.
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"


def precision_plugin(precision: FabricPrecision, device: str) -> Precision:
    """Return fabric's plugin for a precision on a device type: ``cuda``, ``cpu``, ..."""
    if precision == "32-true":
        return Precision()
    return _Mixed(precision, device)


class _Mixed(MixedPrecision):
    """Mixed precision with 32-bit inputs.

    A model that subtracts its estimates from the mixture would otherwise subtract them from a
    rounded mixture.
    """

    def convert_input(self, data: Any) -> Any:
        """Return the inputs unchanged; autocast narrows them per operation."""
        return data
