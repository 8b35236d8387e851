"""Devices and precisions by name, denormal numbers, out-of-memory errors."""

import threading
import warnings

import pytest
import torch

from unmix import devices
from unmix.devices import (
    autocast,
    choose_device,
    choose_precision,
    flushed_denormals,
    is_out_of_memory,
)
from unmix.errors import DeviceWarning, UnmixError

TINY = 1e-310


def _flushed() -> bool:
    return bool(torch.tensor(TINY, dtype=torch.float64) * 1 == 0)


def test_auto_chooses_a_working_device() -> None:
    device = choose_device("auto")
    assert torch.ones(2, device=device).sum() == 2
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["abacus", "cuda:99"])
def test_unavailable_devices_are_refused(name: str) -> None:
    with pytest.raises(UnmixError, match=name):
        choose_device(name)


def _old_driver() -> bool:
    warnings.warn("CUDA initialization: The NVIDIA driver is too old", stacklevel=1)
    return False


def test_a_driver_that_is_too_old_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", _old_driver)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(devices, "_said", set())
    with pytest.warns(DeviceWarning, match="the CPU is used: .*driver is too old"):
        assert choose_device("auto").type == "cpu"
    assert choose_device("auto").type == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", _old_driver)
    with pytest.raises(UnmixError, match=r"not available \(.*too old\); use --device cpu"):
        choose_device("cuda")


def test_a_device_that_cannot_even_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise RuntimeError("libcuda.so: cannot open shared object file")

    monkeypatch.setattr(torch.cuda, "is_available", broken)
    monkeypatch.setattr(devices, "_said", set())
    with pytest.warns(DeviceWarning, match="libcuda"):
        assert choose_device("auto").type == "cpu"


def test_the_probe_runs_and_cuda_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    devices.accelerator.probe(torch.device("cpu"))
    cuda, emptied = torch.device("cuda"), []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(1))
    devices.accelerator.empty_cache(cuda)
    devices.accelerator.empty_cache(torch.device("cpu"))
    assert emptied == [1]
    for has, expected in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has, **_: has)
        assert choose_precision("auto", cuda) == expected


def test_precision_by_name() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) in ("fp32", "bf16")
    assert choose_precision("bf16", cpu) == "bf16"
    assert choose_precision("fp16", torch.device("cuda")) == "fp16"
    with pytest.raises(UnmixError, match="does not support fp16; choose bf16 or fp32"):
        choose_precision("fp16", cpu)
    with pytest.raises(UnmixError, match="choose from auto, fp32, bf16, fp16"):
        choose_precision("fp8", cpu)


def test_autocast_sets_the_precision() -> None:
    linear, x = torch.nn.Linear(4, 4), torch.randn(2, 4)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast(torch.device("cpu"), precision):
            assert linear(x).dtype == dtype


def test_denormals_are_flushed_only_within_the_context() -> None:
    def check() -> None:
        before = _flushed()
        with flushed_denormals():
            within = _flushed()
        seen.append((before, within, _flushed()))

    seen: list[tuple[bool, bool, bool]] = []
    thread = threading.Thread(target=check)  # the setting is the thread's own
    thread.start()
    thread.join()
    ((before, within, after),) = seen
    assert within
    assert before == after


def test_out_of_memory_is_recognised() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: 12 bytes"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
