"""A device that fails on purpose: it computes on the CPU, until it raises what CUDA would."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from unmix import devices
from unmix._types import Samples
from unmix.errors import DeviceWarning, UnmixError
from unmix.models import build
from unmix.separation.separator import RecordingSeparator

ERRORS = {
    "kernels": "CUDA error: no kernel image is available for execution on the device\nadvice",
    "driver": "The NVIDIA driver on your system is too old (found version 11040).",
    "cudnn": "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    "cufft": "cuFFT error: CUFFT_INTERNAL_ERROR",
    "lost": "CUDA error: unspecified launch failure",
    "assert": "CUDA error: device-side assert triggered",
    "memory": "CUDA out of memory. Tried to allocate 2.00 GiB.",
}
#: Two of them by default: the way through the code is the same.
EACH = [
    name if name in ("memory", "lost") else pytest.param(name, marks=pytest.mark.slow)
    for name in ERRORS
]
#: A method, and the number of calls of it that succeed.
MOMENTS = [("probe", 0), ("place", 0), ("put", 0), ("put", 3), ("fetch", 2), ("autocast", 1)]


@dataclass
class Failing(devices.Accelerator):
    """A "cuda" on the CPU that fails at the n-th call of a method, and ever after."""

    moment: str = ""
    error: str = ""
    after: int = 0
    largest: int = 1000
    calls: int = 0
    dead: bool = False
    emptied: int = 0
    touched: int = 0
    """Calls after the failure."""

    def _call(self, moment: str) -> None:
        self.touched += self.dead
        self.calls += moment == self.moment
        if self.dead or (moment == self.moment and self.calls > self.after):
            self.dead = True
            raise RuntimeError(self.error)

    def found(self) -> str:
        return "cuda"

    def probe(self, device: torch.device) -> None:
        self._call("probe")

    def put(self, samples: torch.Tensor, device: torch.device) -> torch.Tensor:
        if device.type == "cuda":
            self._call("put")
            if len(samples) > self.largest:
                raise torch.OutOfMemoryError(ERRORS["memory"])
        return samples

    def fetch(self, samples: torch.Tensor) -> torch.Tensor:
        if self.moment == "fetch" and not self.dead:
            self._call("fetch")
        return samples.float()

    def place(self, model: devices.Module, device: torch.device) -> devices.Module:
        if device.type == "cuda":
            self._call("place")
        return model

    def autocast(self, device: torch.device, precision: str) -> AbstractContextManager[None]:
        if device.type == "cuda":
            self._call("autocast")
        return devices.autocast(torch.device("cpu"), "fp32" if precision == "fp16" else precision)

    def empty_cache(self, device: torch.device) -> None:
        self.emptied += 1


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, empty in (("_broken", {}), ("_working", set()), ("_said", set())):
        monkeypatch.setattr(devices, name, empty)


SMALL = {"n_fft": 256, "hop_length": 64, "frames": 32, "width": 4, "depth": 3}


def _separator(device: str, precision: str = "fp32", batch_size: int = 2) -> RecordingSeparator:
    torch.manual_seed(0)
    model = build("unet", SMALL)
    return RecordingSeparator(
        model, device=device, precision=precision, batch_size=batch_size, chunk=0.1
    )


@contextmanager
def _heard() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield said


def _mixture() -> Samples:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (2, 44100)).astype(np.float32)


def _equal(one: dict[str, Samples], other: dict[str, Samples]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def _failing(monkeypatch: pytest.MonkeyPatch, **how: Any) -> Failing:
    device = Failing(**how)
    monkeypatch.setattr(devices, "accelerator", device)
    return device


@pytest.mark.parametrize("error", EACH)
@pytest.mark.parametrize(("moment", "after"), MOMENTS)
def test_auto_gives_what_the_cpu_gives(
    monkeypatch: pytest.MonkeyPatch, moment: str, after: int, error: str
) -> None:
    expected = _separator("cpu").separate(_mixture(), 44100)
    device = _failing(monkeypatch, moment=moment, error=ERRORS[error], after=after)
    with _heard() as said:
        separator = _separator("auto")
        _equal(separator.separate(_mixture(), 44100), expected)
    assert [type(each.message) for each in said] == [DeviceWarning]
    assert ERRORS[error].splitlines()[0].rstrip(".") in str(said[0].message)
    assert separator.device.type == next(separator.model.parameters()).device.type == "cpu"
    if error != "memory":
        assert not device.touched, "a device that failed was called again"
        device.dead, device.error = True, "called again"
        _equal(_separator("auto").separate(_mixture(), 44100), expected)  # and is not said again
        assert not device.touched
    else:
        _equal(separator.separate(_mixture(), 44100), expected)


@pytest.mark.parametrize("error", EACH)
@pytest.mark.parametrize(("moment", "after"), MOMENTS)
def test_an_explicit_device_is_an_error_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, moment: str, after: int, error: str
) -> None:
    _failing(monkeypatch, moment=moment, error=ERRORS[error], after=after)
    with pytest.raises(UnmixError, match=r"device 'cuda' failed.*--device cpu") as raised:
        _separator("cuda").separate(_mixture(), 44100)
    assert "\n" not in str(raised.value)
    assert ("update the driver" in str(raised.value)) == (error == "driver")


@pytest.mark.parametrize("largest", [0, 1, 3])
def test_batches_are_halved_before_the_device_is_left(
    monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    expected = _separator("cpu").separate(_mixture(), 44100)
    device = _failing(monkeypatch, largest=largest)
    with _heard() as said:
        separated = _separator("auto", batch_size=4).separate(_mixture(), 44100)
    assert len(said) == (largest == 0)
    assert device.emptied
    for name in expected:
        np.testing.assert_allclose(separated[name], expected[name], atol=1e-5)


def test_a_precision_that_the_cpu_lacks_becomes_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _separator("cpu").separate(_mixture(), 44100)
    for moment in ("place", "put"):
        monkeypatch.setattr(devices, "_broken", {})
        _failing(monkeypatch, moment=moment, error=f"{moment} failed")
        with _heard() as said:
            separator = _separator("auto", "fp16")
            _equal(separator.separate(_mixture(), 44100), expected)
        assert f"{moment} failed" in str(said[0].message)


def test_threads_say_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _separator("cpu").separate(_mixture(), 44100)
    _failing(monkeypatch, moment="put", error=ERRORS["lost"], after=2)
    separator, found = _separator("auto"), []
    threads = [
        threading.Thread(target=lambda: found.append(separator.separate(_mixture(), 44100)))
        for _ in range(3)
    ]
    with _heard() as said:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(said) == 1
    assert len(found) == 3
    for stems in found:
        _equal(stems, expected)


def test_a_fault_of_the_model_is_not_blamed_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    separator = _separator("cpu")
    monkeypatch.setattr(type(separator.model), "forward", lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        separator.separate(_mixture(), 44100)
