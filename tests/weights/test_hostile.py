"""Weights, recipes and indexes of others: refused in one sentence that names the file."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unmix.config import read_toml
from unmix.data.packed import INDEX, open_packed
from unmix.errors import ConfigError, ModelError, UnmixError
from unmix.models import build
from unmix.training.checkpoint import load_checkpoint
from unmix.weights.load import load_model, save_weights

CONFIG = {"n_fft": 64, "hop_length": 16, "frames": 8, "width": 2, "depth": 2, "stems": ["vocals"]}


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_checkpoint_never_runs(tmp_path: Path) -> None:
    path, mark = tmp_path / "last.ckpt", tmp_path / "ran"
    torch.save({"recipe": {}, "average": _Evil(mark)}, path)
    for load in (load_model, load_checkpoint):
        with pytest.raises(UnmixError, match=r"last\.ckpt"):
            load(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()  # the trap works


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path, value: float) -> None:
    path, state = tmp_path / "a.safetensors", build("unet", CONFIG).state_dict()
    name = next(name for name, tensor in state.items() if tensor.is_floating_point())
    state[name].view(-1)[0] = value
    save_weights(path, "unet", CONFIG, state, licence="none")
    with pytest.raises(ModelError, match=rf"a\.safetensors: its tensor {name} holds NaN"):
        load_model(path)


@pytest.mark.parametrize("config", ["[]", "1", "[" * 100_000, json.dumps({"width": 10**15})])
def test_settings_that_cannot_be_are_refused(tmp_path: Path, config: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"architecture": "unet", "config": config})
    with pytest.raises(UnmixError, match=r"a\.safetensors"):
        load_model(path)


@pytest.mark.parametrize("held", [[1], {"recipe": 1, "average": {}}, {"recipe": {}, "average": 1}])
def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path, held: object) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(held, path)
    with pytest.raises(ModelError, match=r"last\.ckpt: not a checkpoint"):
        load_model(path)


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "a = " + "9" * 5000, "#" * (1 << 21), "a = \x00"]
)
def test_toml_that_cannot_be_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.toml: "):
        read_toml(path)


@pytest.mark.parametrize("shard", ["../secret", "/etc/passwd", "..", "a/b"])
def test_a_packed_index_names_no_file_elsewhere(tmp_path: Path, shard: str) -> None:
    entry = {"size": 1, "sha256": ""}
    (tmp_path / INDEX).write_text(json.dumps({"shards": {shard: entry}}))
    with pytest.raises(UnmixError, match="not the index of a packed corpus"):
        open_packed(tmp_path)
