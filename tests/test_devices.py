"""Devices and precisions by name, denormal numbers, out-of-memory errors."""

import threading

import pytest
import torch

from unmix.devices import (
    autocast,
    choose_device,
    choose_precision,
    flushed_denormals,
    is_out_of_memory,
)
from unmix.errors import UnmixError

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
