"""Checkpoints of the Wave-U-Net: real ones, the lists of the full networks, and wrong ones."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from unmix import load_model
from unmix.errors import ConfigError, ModelError
from unmix.models import build
from unmix.recipes.reading import find_architecture, recipes
from unmix.weights.converters import convert_weights, converters
from unmix.weights.converters._tensor_bundle import read_bundle

CHECKPOINTS = {
    "wave-unet-m4": ("M4", "baseline_stereo", "baseline_stereo-186093", 3),
    "wave-unet-m5": ("M5", "full_44KHz", "full_44KHz-236118", 2),
    "wave-unet-m5-highsr": ("M5", "full_44KHz", "full_44KHz-236118", 2),
    "wave-unet-m6": ("M6", "full_multi_instrument", "full_multi_instrument-134067", 3),
}


def folder_of(shared: Path, recipe: str) -> Path:
    tag, folder, _, _ = CHECKPOINTS[recipe]
    return shared / "parity_tf" / f"waveunet_{tag}_reduced" / folder


@pytest.mark.parametrize("recipe", CHECKPOINTS)
def test_every_tensor_has_its_place(shared: Path, tmp_path: Path, recipe: str) -> None:
    _, _, prefix, width = CHECKPOINTS[recipe]
    index = folder_of(shared, recipe) / f"{prefix}.index"
    out = tmp_path / "weights.safetensors"
    imported = convert_weights(index, recipe, out, licence="MIT")
    model = load_model(out)
    published = find_architecture(recipe).model
    assert model.config.model_dump(mode="json") == published | {"width": width}
    theirs = read_bundle(index)
    network = {n: t for n, t in theirs.items() if n.startswith("separator/")}
    assert imported.parameters == sum(tensor.numel() for tensor in network.values())
    first = theirs["separator/conv1d/kernel"]  # [taps, in, out]
    assert torch.equal(model.encoder[0].weight[1, 0], first[:, 0, 1])
    last = theirs[f"separator/conv1d_{len(model.stems) + 23}/bias"]
    assert torch.equal(model.outputs[-1].bias, last)
    assert imported.stems == model.stems == tuple(published["stems"])


@pytest.mark.parametrize("recipe", CHECKPOINTS)
def test_the_lists_of_the_full_networks(shared: Path, recipe: str) -> None:
    """Names and shapes of every variable, in training, at the published width."""
    tag = CHECKPOINTS[recipe][0]
    listing = shared / "parity_tf" / f"waveunet_{tag}_fullsize_variables.json"
    variables = json.loads(listing.read_text())["variables"]
    theirs = {v["name"]: torch.empty(v["shape"], device="meta") for v in variables}
    converter = converters()["wave-unet"]
    published = find_architecture(recipe)
    told = converter.settings(theirs)
    assert published.model | told == published.model
    with torch.device("meta"):
        model = build(published.architecture, published.model)
    moves = converter.moves(model)
    state = model.state_dict()
    assert sorted(move.ours for move in moves) == sorted(state)
    for move in moves:
        assert move.change(theirs[move.theirs]).shape == state[move.ours].shape, move
    left = {name for name in theirs if not converter.ignored(name)}
    assert left == {move.theirs for move in moves}
    assert "separator_solver/beta1_power" in theirs
    assert "global_step" in theirs


def test_settings_are_told_by_shapes() -> None:
    """Taps, depth and channels of another network of the authors': 14 levels, short filters."""
    tensors = {}
    widths = [*range(24, 24 * 15, 24), 24 * 15, *range(24 * 14, 0, -24)]
    inputs = [1, *widths[:-1]]
    for number, (wide, width) in enumerate(zip(inputs, widths, strict=True)):
        skip = width if number > 14 else 0
        name = f"separator/conv1d_{number}" if number else "separator/conv1d"
        tensors[f"{name}/kernel"] = torch.zeros(5 if number <= 14 else 1, wide + skip, width)
    tensors["separator/conv1d_29/kernel"] = torch.zeros(1, 25, 1)
    assert converters()["wave-unet"].settings(tensors) == {
        "width": 24,
        "depth": 14,
        "audio_channels": 1,
        "filter_size": 5,
        "merge_filter_size": 1,
        "upsampling": "linear",
    }


def test_another_recipe_is_refused(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "weights.safetensors"
    with pytest.raises(ModelError, match=r"does not fit .*not expected: .*conv1d_26/bias"):
        convert_weights(folder_of(shared, "wave-unet-m6"), "wave-unet-m4", out)
    with pytest.raises(ModelError, match=r"does not fit .*missing: .*conv1d_26/kernel"):
        convert_weights(folder_of(shared, "wave-unet-m4"), "wave-unet-m6", out)
    with pytest.raises(ConfigError, match=r"several recipes; choose from .*wave-unet-m4"):
        convert_weights(folder_of(shared, "wave-unet-m4"), "wave-unet", out)
    assert not out.exists()


def test_other_networks_are_refused(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "weights.safetensors"
    spleeter = shared / "parity_tf" / "spleeter_2stems_reduced_released"
    with pytest.raises(ModelError, match=r"not a TensorFlow checkpoint of the Wave-U-Net"):
        convert_weights(spleeter, "wave-unet-m4", out)
    text = tmp_path / "notes.index"
    text.write_text("not weights\n" * 99)
    with pytest.raises(ModelError, match=r"notes\.index: not the index of a TensorFlow checkpoint"):
        convert_weights(text, "wave-unet-m4", out)
    with pytest.raises(ModelError, match=r"gone\.index: no such TensorFlow checkpoint: expected"):
        convert_weights(tmp_path / "gone.index", "wave-unet-m4", out)
    assert not out.exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_truncated_file_is_refused(shared: Path, tmp_path: Path, part: str, share: float) -> None:
    out = tmp_path / "weights.safetensors"
    copy = tmp_path / "copy"
    shutil.copytree(folder_of(shared, "wave-unet-m5"), copy, copy_function=shutil.copyfile)
    copy.chmod(0o755)
    damaged = copy / f"full_44KHz-236118.{part}"
    content = damaged.read_bytes()
    damaged.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=rf"full_44KHz-236118\.{part}: not the "):
        convert_weights(copy, "wave-unet-m5", out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("tag", "fitting"),
    [
        ("M4", ["wave-unet-m4"]),
        ("M5", ["wave-unet-m5", "wave-unet-m5-highsr"]),
        ("M6", ["wave-unet-m6"]),
    ],
)
def test_a_recipe_that_contradicts_the_file_is_refused(
    shared: Path, tmp_path: Path, tag: str, fitting: list[str]
) -> None:
    """Convert a file by every recipe: shapes must agree, else the error says which recipe fits."""
    [index] = (shared / "parity_tf" / f"waveunet_{tag}_reduced").rglob("*.index")
    for recipe in (name for name in recipes() if name.startswith("wave-unet-m")):
        out = tmp_path / f"{recipe}.safetensors"
        if recipe in fitting:
            assert convert_weights(index, recipe, out).architecture == "wave-unet"
            continue
        # Another number of stems shows in the tensors alone.
        other_stems = (recipe == "wave-unet-m6") != (tag == "M6")
        with pytest.raises(ModelError, match=r"conv1d_2|" + f"it fits .*{fitting[0]}") as refused:
            convert_weights(index, recipe, out)
        assert other_stems or " where " in str(refused.value)
        assert not out.exists()
