"""What to compute on, in which precision, and how the processor treats numbers next to zero."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch

from .errors import UnmixError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; ``auto`` is the first of cuda, mps and cpu that is there.

    Raises:
        UnmixError: for an unknown device, or one that this machine has not.
    """
    if name == "auto":
        name = _first_device()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnmixError(f"unknown device {name!r}; choose from auto, cpu, cuda, mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UnmixError(f"device {name!r} is not on this machine; use --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UnmixError(f"device {name!r} is not on this machine; use --device cpu")
    return device


def _first_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_precision(name: str, device: torch.device) -> str:
    """Return ``fp32``, ``bf16`` or ``fp16``; ``auto`` is 16 bits where the device computes fast in
    them.

    Raises:
        UnmixError: for an unknown precision, or one that the device does not compute in.
    """
    if name == "fp16" and device.type == "cpu":
        raise UnmixError("processors do not compute in fp16; choose bf16 or fp32")
    if name in _TYPES:
        return name
    if name != "auto":
        raise UnmixError(f"unknown precision {name!r}; choose from auto, {', '.join(_TYPES)}")
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # Without the instructions a processor emulates bfloat16, several times slower than 32 bits.
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    """Return whether the processor multiplies bfloat16 in hardware."""
    return bool(torch.cpu._is_avx512_bf16_supported())


@contextlib.contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Compute networks in ``precision`` within this context; ``fp32`` changes nothing."""
    enabled = precision != "fp32"
    with torch.autocast(device.type, _TYPES[precision] if enabled else None, enabled=enabled):
        yield


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Treat denormal numbers as zero within this context, on the CPU.

    On nearly silent music they make a network several times slower, and are far below hearing.
    """
    flushed = bool(torch.tensor(1e-310, dtype=torch.float64) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error says that the device's memory ran out, so that less may still fit."""
    # Only CUDA has an error of its own; these are the words of MPS, of CUDA's libraries, and of the
    # CPU's allocator on Linux and on Windows.
    words = ("out of memory", "_ALLOC_FAILED", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)
