"""Spleeter's checkpoints: every variable finds its place, and wrong files are refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unmix import load_model
from unmix.errors import ModelError
from unmix.models import build
from unmix.recipes.reading import find_architecture
from unmix.weights.converters import Tensors, convert_weights, converters

WIDTHS = (4, 6, 8, 10, 12, 14)


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "parity_tf"


@pytest.fixture
def checkpoint(fixtures: Path, tmp_path: Path) -> Path:
    """A checkpoint of two stems that may be damaged."""
    copy = tmp_path / "checkpoint"
    shutil.copytree(fixtures / "spleeter_2stems_reduced_released", copy)
    for path in (copy, *copy.iterdir()):
        path.chmod(0o755)
    return copy


@pytest.mark.parametrize("stems", [2, 4, 5])
@pytest.mark.parametrize("name", ["", "model.index"])
def test_takes_folder_or_index(fixtures: Path, tmp_path: Path, stems: int, name: str) -> None:
    source = fixtures / f"spleeter_{stems}stems_reduced_released" / name
    done = convert_weights(source, f"spleeter-{stems}stems", tmp_path / "weights.safetensors")
    assert (done.architecture, len(done.stems)) == ("spleeter", stems)
    assert load_model(done.path).config.widths == WIDTHS  # type: ignore[attr-defined]


@pytest.mark.parametrize("stems", [2, 4, 5])
def test_every_published_variable_has_its_place(fixtures: Path, stems: int) -> None:
    """Checked with the names and shapes of the real networks."""
    listed = json.loads((fixtures / f"spleeter_{stems}stems_fullsize_variables.json").read_text())
    shapes = {variable["name"]: variable["shape"] for variable in listed}
    model = build("spleeter", find_architecture(f"spleeter-{stems}stems").model)
    converter = converters()["spleeter"]
    moves = [move for move in converter.moves(model) if not move.optional]
    assert {move.theirs for move in moves} == shapes.keys() - {"global_step"}
    assert len({move.ours for move in moves}) == len(moves)
    state = model.state_dict()
    for move in moves:
        theirs = move.change(torch.empty(shapes[move.theirs], device="meta"))
        assert theirs.shape == state[move.ours].shape, move
    empty = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    assert converter.settings(empty) == {
        "widths": [16, 32, 64, 128, 256, 512],
        "stems": stems,
    }
    assert converter.ignored("global_step")


@pytest.mark.parametrize(("held", "asked"), [(4, 2), (2, 4), (5, 4), (4, 5)])
def test_another_number_of_instruments_is_refused(
    fixtures: Path, tmp_path: Path, held: int, asked: int
) -> None:
    source = fixtures / f"spleeter_{held}stems_reduced_released"
    out = tmp_path / "weights.safetensors"
    with pytest.raises(
        ModelError, match=r"but with stems \d where spleeter-.stems has \d"
    ) as refusal:
        convert_weights(source, f"spleeter-{asked}stems", out)
    assert str(source) in str(refusal.value)
    assert f"stems {held} where spleeter-{asked}stems has {asked}" in str(refusal.value)
    assert f"it fits spleeter-{held}stems" in str(refusal.value)
    assert not out.exists()


def test_variables_of_fine_tuning_are_ignored(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter = converters()["spleeter"]
    plain = convert_weights(checkpoint, "spleeter-2stems", tmp_path / "plain.safetensors")

    def read(path: Path) -> Tensors:
        tensors = converter.read(path)
        slots = {
            f"{name}/{slot}": torch.ones_like(value)
            for name, value in tensors.items()
            for slot in ("Adam", "Adam_1")
            if "moving" not in name and name != "global_step"
        }
        powers = {"beta1_power": torch.tensor(0.5), "beta2_power": torch.tensor(0.7)}
        return tensors | slots | powers

    monkeypatch.setitem(converters(), "spleeter", replace(converter, read=read))  # type: ignore[arg-type]
    tuned = convert_weights(checkpoint, "spleeter-2stems", tmp_path / "tuned.safetensors")
    ours, same = load_model(tuned.path).state_dict(), load_model(plain.path).state_dict()
    assert all(torch.equal(ours[name], same[name]) for name in same)


def test_another_network_is_refused(fixtures: Path, tmp_path: Path) -> None:
    source = next((fixtures / "waveunet_M4_reduced").rglob("*.index"))
    with pytest.raises(ModelError, match="not a TensorFlow checkpoint of Spleeter") as refusal:
        convert_weights(source, "spleeter-2stems", tmp_path / "weights.safetensors")
    assert str(source) in str(refusal.value)


@pytest.mark.parametrize("name", ["model.index", "model.data-00000-of-00001"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_truncated_files_are_refused(
    checkpoint: Path, tmp_path: Path, name: str, kept: float
) -> None:
    damaged = checkpoint / name
    content = damaged.read_bytes()
    damaged.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ModelError, match=str(checkpoint)):
        convert_weights(checkpoint, "spleeter-2stems", tmp_path / "weights.safetensors")


def test_a_missing_file_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "model.data-00000-of-00001").unlink()
    with pytest.raises(ModelError, match="model"):
        convert_weights(checkpoint, "spleeter-2stems", tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match="no such TensorFlow checkpoint"):
        convert_weights(checkpoint / "none", "spleeter-2stems", tmp_path / "weights.safetensors")
