"""Which precision to train in."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning.fabric.plugins.precision import MixedPrecision, Precision

FabricPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]
PrecisionChoice = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


def fabric_precision(asked: PrecisionChoice, device: str) -> FabricPrecision:
    """Return lightning.fabric's name; ``auto`` is bfloat16 where the device is fast in it."""
    if asked != "auto":
        return asked
    if device in ("auto", "cuda", "gpu") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    if device in ("auto", "mps") and torch.backends.mps.is_available():
        return "32-true"
    # Without the instructions, bfloat16 is emulated and several times slower than 32 bits.
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"


def precision_plugin(precision: FabricPrecision, device: str) -> Precision:
    """Return what runs a network in a precision, on a kind of device: ``cuda``, ``cpu``, ..."""
    if precision == "32-true":
        return Precision()
    return _Mixed(precision, device)


class _Mixed(MixedPrecision):
    """Computes in 16 bits what bears it, from inputs that keep their 32.

    A model that returns the mixture minus its estimates would return the rounding of the mixture.
    """

    def convert_input(self, data: Any) -> Any:
        """Return the inputs as they are: autocast narrows them where it wants to."""
        return data
