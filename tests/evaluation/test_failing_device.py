"""Metrics on a device that fails."""

import pytest
import torch

from unmix import devices
from unmix.errors import DeviceWarning, UnmixError
from unmix.evaluation.runner import Runner


def _measure(device: torch.device | None) -> str:
    if device is not None and device.type == "cuda":
        raise RuntimeError("CUDA error: unspecified launch failure\nadvice")
    return "measured"


def _runner(fall_back: bool, kind: str = "cuda") -> Runner:
    run = object.__new__(Runner)
    run._device, run._fall_back = torch.device(kind), fall_back
    return run


def test_metrics_go_on_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_broken", {})
    monkeypatch.setattr(devices, "_said", set())
    run = _runner(fall_back=True)
    with pytest.warns(DeviceWarning, match="unspecified launch failure$"):
        assert run._measured(_measure) == "measured"
    assert run._measured(_measure) == "measured"  # and is not said again
    with pytest.raises(UnmixError, match=r"failed.*launch failure.*--device cpu"):
        _runner(fall_back=False)._measured(_measure)
