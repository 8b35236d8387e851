"""Devices, arithmetic precision, denormal numbers, and what the host process has set or forked."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from .errors import UnmixError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


if hasattr(os, "register_at_fork"):
    # The threads that torch computes with do not exist in a forked child, which would wait for
    # them for ever. torch's own loaders of data do the same.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def choose_device(name: str) -> torch.device:
    """Return a device by name; ``auto`` is the first available of cuda, mps and cpu.

    Raises:
        UnmixError: the device is unknown or not available.
    """
    if name == "auto":
        name = _first_device()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnmixError(f"unknown device {name!r}; choose from auto, cpu, cuda, mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UnmixError(f"device {name!r} is not available; use --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UnmixError(f"device {name!r} is not available; use --device cpu")
    return device


def _first_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_precision(name: str, device: torch.device) -> str:
    """Return ``fp32``, ``bf16`` or ``fp16``; ``auto`` is 16 bits where the device is fast at it.

    Raises:
        UnmixError: the precision is unknown, or the device does not support it.
    """
    if name == "fp16" and device.type == "cpu":
        raise UnmixError("the CPU does not support fp16; choose bf16 or fp32")
    if name in _TYPES:
        return name
    if name != "auto":
        raise UnmixError(f"unknown precision {name!r}; choose from auto, {', '.join(_TYPES)}")
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # A CPU without bfloat16 instructions emulates them, several times slower than 32 bits.
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    """Return whether the CPU multiplies bfloat16 in hardware."""
    return bool(torch.cpu._is_avx512_bf16_supported())


@contextlib.contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Run networks in ``precision`` within this context; ``fp32`` changes nothing."""
    enabled = precision != "fp32"
    with torch.autocast(device.type, _TYPES[precision] if enabled else None, enabled=enabled):
        yield


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Treat denormal numbers as zero within this context, on the CPU.

    They make a network several times slower on nearly silent music, and are inaudible.
    """
    flushed = bool(torch.tensor(1e-310, dtype=torch.float64) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error means that the device ran out of memory."""
    # Only CUDA has an exception of its own. These are the messages of MPS, of CUDA's libraries, and
    # of the CPU's allocator on Linux and on Windows.
    words = ("out of memory", "_ALLOC_FAILED", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)


@contextlib.contextmanager
def own_defaults() -> Iterator[None]:
    """Compute with the defaults of torch and numpy, whatever the host process has set.

    It is also a decorator. torch's default type is one for all threads: it is put back when the
    last thread that computes here is done.
    """
    with torch.device("cpu"), np.errstate(all="ignore"):
        _default_type.borrow()
        try:
            yield
        finally:
            _default_type.give_back()


class _DefaultType:
    """torch's default type of real numbers, set to 32 bits while anybody needs that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._hosts = torch.float32
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def borrow(self) -> None:
        """Set it."""
        with self._lock:
            if self._users == 0:
                self._hosts = torch.get_default_dtype()
                torch.set_default_dtype(torch.float32)
            self._users += 1

    def give_back(self) -> None:
        """Restore it, after the last user."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                torch.set_default_dtype(self._hosts)

    def _renew(self) -> None:
        """Begin anew in a forked child, where the threads that used it do not exist."""
        if self._users:
            torch.set_default_dtype(self._hosts)
        self._lock, self._users = threading.Lock(), 0


_default_type = _DefaultType()
