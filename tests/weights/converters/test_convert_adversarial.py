"""Checkpoints of the adversarial separator: the same estimates as TensorFlow's."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from unmix import load_model
from unmix.errors import ModelError
from unmix.weights.converters import _registry, convert_weights, converters


@pytest.fixture
def fixture(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "parity_tf" / "adversarial_separator_critic.npz"))


@pytest.fixture
def variables(fixture: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The variables of a checkpoint, critics and optimizer included."""
    held = {
        name.removeprefix("var:"): torch.from_numpy(values.astype(np.float32))
        for name, values in fixture.items()
        if name.startswith("var:")
    }
    first = held["separator/conv2d/kernel"]
    slots = {
        f"separator/conv2d/kernel/{slot}": torch.zeros_like(first) for slot in ("Adam", "Adam_1")
    }
    return held | slots | {"global_step": torch.tensor(7), "sup_sep_lr": torch.tensor(5e-5)}


@pytest.fixture
def checkpoint(
    variables: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A file that is read as those variables, as no checkpoint of this network is published."""
    path = tmp_path / "model.index"
    path.touch()
    converter = replace(converters()["adversarial"], read=lambda path: variables)
    monkeypatch.setitem(_registry._CONVERTERS, "adversarial", converter)
    return path


def test_agrees_with_tensorflow(
    fixture: dict[str, np.ndarray], checkpoint: Path, tmp_path: Path
) -> None:
    done = convert_weights(checkpoint, "adversarial", tmp_path / "w.safetensors")
    assert (done.stems, done.parameters) == (("accompaniment", "vocals"), 958_596)
    model = load_model(done.path)
    features = torch.from_numpy(fixture["separator_input"]).permute(0, 3, 1, 2)
    with torch.inference_mode():
        accompaniment, vocals = model.network(features)[0].numpy()
    for name, estimate in (("acc", accompaniment), ("voice", vocals)):
        expected = fixture[f"separator_{name}"][0, :, :, 0]
        np.testing.assert_allclose(estimate, expected, atol=5e-5, rtol=0)


def test_every_variable_of_theirs_is_known(shared: Path, variables: dict[str, Tensor]) -> None:
    listed = json.loads((shared / "parity_tf" / "adversarial_variables.json").read_text())
    converter = converters()["adversarial"]
    separator = {entry["name"] for entry in listed if not converter.ignored(entry["name"])}
    assert separator == {name for name in variables if not converter.ignored(name)}
    assert len(separator) == 30


def test_reads_the_width_from_the_file(
    variables: dict[str, Tensor], checkpoint: Path, tmp_path: Path
) -> None:
    for name in list(variables):
        if "_transpose_3/" in name or "conv2d_4/" in name:
            del variables[name]
    with pytest.raises(ModelError, match="does not fit a TensorFlow checkpoint"):
        convert_weights(checkpoint, "adversarial", tmp_path / "w.safetensors")
    del variables["separator/conv2d/kernel"]
    with pytest.raises(ModelError, match="separator/conv2d/kernel' not found among"):
        convert_weights(checkpoint, "adversarial", tmp_path / "w.safetensors")


def test_refuses_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "model.index"
    path.write_bytes(b"not an index" * 20)
    with pytest.raises(ModelError, match=r"model\.index: not the index of a TensorFlow checkpoint"):
        convert_weights(path, "adversarial", tmp_path / "w.safetensors")
