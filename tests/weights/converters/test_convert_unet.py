"""Chainer's archives: the masks that Chainer computes, and wrong files refused."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unmix import load_model
from unmix.errors import ConfigError, ModelError
from unmix.models import build
from unmix.models.unet import UNet
from unmix.recipes.reading import find_architecture
from unmix.weights.converters import convert_weights

Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "parity_tf"


@pytest.fixture(scope="module")
def held(fixtures: Path) -> dict[str, Array]:
    return dict(np.load(fixtures / "chainer_unet.npz"))


def _mask(model: UNet, magnitude: Array) -> Array:
    """Return the mask ``[512, T]`` of magnitudes ``[513, T]`` that are levelled already."""
    with torch.inference_mode():
        features = torch.from_numpy(magnitude[None, None, 1:])
        return torch.sigmoid(model.eval()._run(features))[0, 0].numpy()


def _filled(keys: list[dict[str, object]]) -> dict[str, Array]:
    """Return the full-size archive of the fixture's masks, by the rule in its readme."""
    filled = {}
    for key in keys:
        name, shape = str(key["name"]), tuple(key["shape"])
        count = int(np.prod(shape))
        draw = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(count)
        filled[name] = _rule(name, draw.reshape(shape))
    return filled


def _rule(name: str, g: Array) -> Array:
    layer, kind = name.split("/")
    if kind == "N":
        return np.asarray(5000)
    if kind == "W":
        fan = 16 * g.shape[1] if layer.startswith("conv") else 4 * g.shape[0]
        value = 1.3 * g / np.sqrt(fan) * (0.5 if layer == "deconv6" else 1)
    elif name == "norm1/avg_mean":
        value = 0.01 * g
    elif name == "norm1/avg_var":
        value = 0.001 * (0.5 + np.abs(g))
    else:
        value = {
            "b": 0.05 * g,
            "beta": 0.05 * g,
            "gamma": 1 + 0.1 * g,
            "avg_mean": 0.1 * g,
            "avg_var": 0.5 + np.abs(g),
        }[kind]
    return value.astype(np.float32)


def test_agrees_with_chainer(fixtures: Path, held: dict[str, Array], tmp_path: Path) -> None:
    source = fixtures / "chainer_unet_reduced.model"
    done = convert_weights(source, "unet-16khz", tmp_path / "w.safetensors")
    assert (done.architecture, done.stems) == ("unet", ("vocals",))
    model = load_model(done.path)
    assert isinstance(model, UNet)
    assert model.config.widths == (4, 6, 8, 10, 12, 14)
    magnitude = held["input_mag_513x128"]
    np.testing.assert_allclose(_mask(model, magnitude), held["mask_reduced"], atol=2e-5)
    first = _mask(model, np.ascontiguousarray(magnitude[:, :64]))
    np.testing.assert_allclose(first, held["mask_reduced_first64"], atol=2e-5)
    # And by the public way: the fixture's largest magnitude is 1, so levelling changes nothing.
    frames = torch.from_numpy(magnitude)[None, None].to(torch.complex64)
    with torch.inference_mode():
        mask = model.predict_mask(frames)[0, 0, 0].numpy()
    np.testing.assert_allclose(mask[1:], held["mask_reduced"], atol=2e-5)
    assert not mask[0].any()


def test_agrees_with_chainer_at_full_size(
    fixtures: Path, held: dict[str, Array], tmp_path: Path
) -> None:
    keys = json.loads((fixtures / "chainer_unet_fullsize_keys.json").read_text())
    with (tmp_path / "unet.model").open("wb") as file:
        np.savez(file, **_filled(keys))
    done = convert_weights(tmp_path / "unet.model", "unet-16khz", tmp_path / "w.safetensors")
    assert done.parameters == 6_288_545
    model = load_model(done.path)
    assert isinstance(model, UNet)
    mask = _mask(model, held["input_mag_513x128"])
    np.testing.assert_allclose(mask, held["mask_fullsize"], atol=2e-5)


def test_the_recipe_has_the_published_parameters() -> None:
    recipe = find_architecture("unet-16khz")
    model = build(recipe.architecture, recipe.model)
    assert sum(parameter.numel() for parameter in model.parameters()) == 6_288_545


def test_a_damaged_archive_is_refused(fixtures: Path, tmp_path: Path) -> None:
    whole = (fixtures / "chainer_unet_reduced.model").read_bytes()
    damaged = tmp_path / "cut.model"
    for size in (0, 100, len(whole) // 2, len(whole) - 10):
        damaged.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"cut\.model: expected a Chainer archive"):
            convert_weights(damaged, "unet-16khz", tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()


def test_missing_and_unknown_arrays_are_listed(fixtures: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(fixtures / "chainer_unet_reduced.model"))
    arrays["surprise/W"] = arrays.pop("norm2/gamma")
    other = tmp_path / "other.model"
    with other.open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(ModelError, match=r"missing: norm2/gamma; not expected: surprise/W"):
        convert_weights(other, "unet-16khz", tmp_path / "w.safetensors")
    with other.open("wb") as file:
        np.savez(file, something=np.zeros(3))
    with pytest.raises(ModelError, match=r"conv1/W.* not found among its 1 tensors"):
        convert_weights(other, "unet-16khz", tmp_path / "w.safetensors")


def test_objects_in_an_archive_are_never_built(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)

    with (tmp_path / "trap.model").open("wb") as file:
        np.savez(file, **{"conv1/W": np.array([Trap()], dtype=object)})
    with pytest.raises(ModelError, match="cannot be read"):
        convert_weights(tmp_path / "trap.model", "unet-16khz", tmp_path / "w.safetensors")
    assert not (tmp_path / "sprung").exists()


def test_the_wrong_recipe_and_unknown_names_are_refused(fixtures: Path, tmp_path: Path) -> None:
    source, out = fixtures / "chainer_unet_reduced.model", tmp_path / "w.safetensors"
    with pytest.raises(ModelError, match="kernel 4 where unet has 5; it fits unet-16khz"):
        convert_weights(source, "unet", out)
    with pytest.raises(ConfigError, match="unknown recipe 'u-net'"):
        convert_weights(source, "u-net", out)
    with pytest.raises(ModelError, match="no such file; expected a Chainer archive"):
        convert_weights(tmp_path / "x", "unet-16khz", out)
    assert not out.exists()
