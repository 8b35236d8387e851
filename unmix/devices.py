"""Devices and what to do when they fail, arithmetic precision, and denormal numbers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Literal, TypeVar

import torch

from .errors import DeviceWarning, UnmixError

Module = TypeVar("Module", bound=torch.nn.Module)
Precision = Literal["auto", "fp32", "bf16", "fp16"]
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


# What a device failed with in this process, by its name. After most failures of CUDA no call of it
# succeeds until the process ends, so the device is not asked again.
_broken: dict[str, str] = {}
_working: set[str] = set()
_said: set[str] = set()


class Accelerator:
    """Where models and samples are moved to and from a device; tests put one that fails here."""

    def found(self) -> str:
        """Return the name of the best device that there seems to be."""
        if torch.cuda.is_available() and torch.cuda.device_count():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"

    def put(self, samples: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Return samples on a device."""
        return samples.to(device)

    def fetch(self, samples: torch.Tensor) -> torch.Tensor:
        """Return samples on the CPU, in 32 bits."""
        return samples.float().cpu()

    def place(self, model: Module, device: torch.device) -> Module:
        """Move a model to a device."""
        return model.to(device)

    def autocast(self, device: torch.device, precision: str) -> AbstractContextManager[None]:
        """Run networks in ``precision`` within this context."""
        return autocast(device, precision)

    def empty_cache(self, device: torch.device) -> None:
        """Give back the memory that is held for later."""
        if device.type == "cuda":
            torch.cuda.empty_cache()

    def probe(self, device: torch.device) -> None:
        """Run what models consist of, on next to nothing: every library must load and start."""
        samples = self.put(torch.ones(1, 1, 16, 16), device)
        spectrum = torch.fft.rfft(torch.nn.functional.conv2d(samples, samples[..., :3, :3]))
        self.fetch(spectrum.abs() @ spectrum.abs().mT)


accelerator = Accelerator()


def choose_device(name: str) -> torch.device:
    """Return a device by name, tried; ``auto`` is the first working one of cuda, mps and cpu.

    Raises:
        UnmixError: the device is unknown, not available or does not work.
    """
    if name == "auto":
        return _first_device()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnmixError(f"unknown device {name!r}; choose from auto, cpu, cuda, mps") from None
    # A driver that is too old is told as a warning, and then there are no devices.
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            missing = _missing(device)
        except Exception as error:
            missing, reason = True, first_line(error)
        else:
            reason = first_line(told[0].message) if told else ""
    if missing:
        because = f" ({reason})" if reason else ""
        raise UnmixError(f"device {name!r} is not available{because}; use --device cpu")
    if reason := _failure(device):
        raise UnmixError(failed(device, reason))
    return device


def _missing(device: torch.device) -> bool:
    if device.type == "cuda":
        return (device.index or 0) >= torch.cuda.device_count()
    return device.type == "mps" and not torch.backends.mps.is_available()


def _first_device() -> torch.device:
    cpu = torch.device("cpu")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            device = torch.device(accelerator.found())
        except Exception as error:
            device, reason = cpu, first_line(error)
        else:
            reason = first_line(told[0].message) if told else ""
    if device.type == "cpu":
        if reason:
            say_fallback("the GPU", reason)
        return cpu
    if reason := _failure(device):
        say_fallback(str(device), reason)
        return cpu
    return device


def _failure(device: torch.device) -> str:
    """Return why a device does not work; empty if it does. Each is tried once in a process."""
    name = str(device)
    if device.type != "cpu" and name not in _broken and name not in _working:
        try:
            accelerator.probe(device)
        except Exception as error:
            mark_broken(device, error)
            return first_line(error)
        _working.add(name)
    return _broken.get(name, "")


def mark_broken(device: torch.device, error: BaseException) -> None:
    """Let no later call in this process use a device, unless only its memory is full."""
    if not is_out_of_memory(error):
        _broken[str(device)] = first_line(error)


def say_fallback(device: str, reason: str) -> None:
    """Warn that the CPU is used instead of a device, once in a process for each reason."""
    message = f"{device} does not work and the CPU is used: {reason}"
    if message not in _said:
        _said.add(message)
        warnings.warn(message, DeviceWarning, stacklevel=3)


def failed(device: torch.device, reason: str) -> str:
    """Return the sentence about a device that failed, with the remedy."""
    remedy = "use --device cpu"
    if _means_no_memory(reason):
        remedy = "use a shorter --chunk"
        remedy += "" if device.type == "cpu" else ", close other programs or use --device cpu"
    elif "driver" in reason.lower():
        remedy = "update the driver or use --device cpu"
    return f"device '{device}' failed ({reason}); {remedy}"


def first_line(error: object) -> str:
    """Return what an error says in its first line; CUDA's add advice for programmers."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


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
        try:
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        except RuntimeError:
            return "fp32"  # the device has failed, which its next use tells
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


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the device, or the machine, ran out of memory."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or _means_no_memory(str(error))


def _means_no_memory(text: str) -> bool:
    # Only CUDA has an exception of its own. These are the messages of MPS, of CUDA's libraries, and
    # of the CPU's allocator on Linux and on Windows.
    words = ("out of memory", "_ALLOC_FAILED", "can't allocate memory", "not enough memory")
    return any(word in text for word in words)
