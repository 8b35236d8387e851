"""Foreign PyTorch files: tensors are read, and nothing in a file is ever run."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from unmix.errors import ModelError
from unmix.weights.converters._torch_file import read_torch


class _Malicious:
    """Runs a command when it is unpickled without care."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("zipped", [True, False], ids=["of today", "before 1.6"])
def test_reads_tensors_and_plain_values(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.pth"
    held = {
        "model": OrderedDict(weight=torch.randn(3, 2), half=torch.randn(2).half()),
        "state": {"step": 3, "best_loss": float("inf"), "name": "a", "list": [1, (2.0, None)]},
    }
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    read = read_torch(path)
    assert read["state"] == held["state"]
    assert read["model"].keys() == {"weight", "half"}
    for name, tensor in read["model"].items():
        assert torch.equal(tensor, held["model"][name])
        assert tensor.dtype == held["model"][name].dtype


@pytest.mark.parametrize("zipped", [True, False])
def test_reads_numbers_of_numpy(tmp_path: Path, zipped: bool) -> None:
    """A learning rate from ``np.cos`` is one, and PyTorch by itself refuses it."""
    path = tmp_path / "model.pth"
    numbers = [np.float64(0.1), np.float32(0.5), np.int64(-3), np.uint8(200), np.bool_(True)]
    torch.save({"lr": numbers}, path, _use_new_zipfile_serialization=zipped)
    assert read_torch(path)["lr"] == [0.1, 0.5, -3, 200, True]
    # As numpy 1 named its parts, when most public checkpoints were made.
    content = path.read_bytes()
    if not zipped:
        path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
        assert read_torch(path)["lr"] == [0.1, 0.5, -3, 200, True]


@pytest.mark.parametrize("array", [np.array([1.0]), np.array([{}], object), np.dtype("O")])
def test_refuses_more_of_numpy_than_numbers(tmp_path: Path, array: object) -> None:
    path = tmp_path / "model.pth"
    torch.save({"array": array}, path)
    with pytest.raises(ModelError, match="code, which is refused"):
        read_torch(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_never_runs_what_a_file_contains(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "model.pth", tmp_path / "trace"
    held = {"model": {"weight": torch.zeros(2)}, "more": _Malicious(trace)}
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"model\.pth: expected .* code, which is refused"):
        read_torch(path)
    assert not trace.exists()
    # The file is what it claims to be: without care, it does run the command.
    torch.load(path, weights_only=False)
    assert trace.exists()


def test_never_runs_a_bare_pickle(tmp_path: Path) -> None:
    path, trace = tmp_path / "model.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps({"model": _Malicious(trace)}))
    with pytest.raises(ModelError, match="code, which is refused"):
        read_torch(path)
    assert not trace.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.5, 0.9, 0.999])
def test_refuses_a_truncated_file(tmp_path: Path, zipped: bool, kept: float) -> None:
    path = tmp_path / "model.pth"
    weights = {f"layer{i}.weight": torch.randn(50) for i in range(20)}
    torch.save({"model": weights}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ModelError, match=r"model\.pth: expected a chest of tensors"):
        read_torch(path, "a chest of tensors")


@pytest.mark.parametrize(
    "content", [b"", b"RIFF....WAVEfmt ", b"\x80\x04", b"PK\x03\x04", b"a" * 999]
)
def test_refuses_files_of_another_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"song\.wav: expected a PyTorch checkpoint"):
        read_torch(path)


def test_refuses_missing_files_and_other_types(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with pytest.raises(ModelError, match="no such file; expected a PyTorch checkpoint"):
        read_torch(path)
    with pytest.raises(ModelError, match="refused"):
        read_torch(tmp_path)  # a folder
    torch.save([torch.zeros(1)], path)
    with pytest.raises(ModelError, match="a dict, but it holds a list"):
        read_torch(path)
