"""Which precision to train in."""

from __future__ import annotations

from typing import Literal

import torch

FabricPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]


def choose_precision(
    asked: Literal["auto", "32-true", "bf16-mixed", "16-mixed"], device: str
) -> FabricPrecision:
    """Return lightning.fabric's name; ``auto`` is bfloat16 where the device is fast in it."""
    if asked != "auto":
        return asked
    if device in ("auto", "cuda", "gpu") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    if device in ("auto", "mps") and torch.backends.mps.is_available():
        return "32-true"
    # Without the instructions, bfloat16 is emulated and several times slower than 32 bits.
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"
