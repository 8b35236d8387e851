"""A device that fails, as the command line tells it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from unmix import devices

Unmix = Callable[..., Any]


def _put(samples: torch.Tensor, device: torch.device) -> torch.Tensor:
    if device.type == "cuda":
        raise RuntimeError("CUDA error: unspecified launch failure\nadvice")
    return samples


@pytest.fixture(autouse=True)
def _lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that falls off at the first batch."""
    for name, empty in (("_broken", {}), ("_working", {"cuda"}), ("_said", set())):
        monkeypatch.setattr(devices, name, empty)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    on = devices.accelerator
    monkeypatch.setattr(on, "found", lambda: "cuda", raising=False)
    monkeypatch.setattr(on, "place", lambda model, _: model, raising=False)
    monkeypatch.setattr(on, "put", _put, raising=False)
    cpu = torch.device("cpu")
    monkeypatch.setattr(on, "autocast", lambda _, kind: devices.autocast(cpu, kind), raising=False)


def _songs(folder: Path) -> list[Path]:
    songs = [folder / f"{name}.wav" for name in "ab"]
    for song in songs:
        soundfile.write(song, np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2)), 8000)
    return songs


def _options(folder: Path, device: str) -> list[object]:
    return ["-o", folder / "out", "--model", "tiny", "--quality", "fast", "--device", device]


def test_auto_says_it_once_and_does_all_songs(tmp_path: Path, unmix: Unmix) -> None:
    done = unmix("separate", *_songs(tmp_path), *_options(tmp_path, "auto"))
    assert done.code == 0
    assert done.err.count("warning: cuda does not work and the CPU is used: CUDA error") == 1
    assert "Warning" not in done.err
    assert len(list((tmp_path / "out").rglob("*.wav"))) == 4


def test_cuda_is_an_error_and_leaves_nothing(tmp_path: Path, unmix: Unmix) -> None:
    done = unmix("separate", *_songs(tmp_path), *_options(tmp_path, "cuda"))
    assert done.code == 1
    assert "unspecified launch failure); use --device cpu" in done.err
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
