"""ByteDance's checkpoints: their estimates to five digits, and wrong files refused."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unmix import load_model
from unmix.errors import ModelError
from unmix.models import Model, build
from unmix.recipes.reading import find_architecture
from unmix.weights.converters import convert_weights, converters

FIXTURES = {
    "resunet": "bytesep_resunet143_ismir2021",
    "resunet-subband": "bytesep_resunet143_subbandtime",
}
SMALL = {"widths": [4, 6], "blocks": 2, "middle_stacks": 2, "n_fft": 64, "hop_length": 16}
#: By recipe: settings of a small model.
RECIPES = {
    "resunet": SMALL,
    "resunet-subband": SMALL,
    "mobilenet-subband": {"widths": [4, 6], "n_fft": 64, "hop_length": 16},
}


@pytest.fixture(scope="module", params=FIXTURES)
def filled(request: pytest.FixtureRequest, shared: Path) -> "Filled":
    """A full-size model at the fixture's weights, and the fixture."""
    return Filled(shared / "parity", request.param)


class Filled:
    def __init__(self, folder: Path, recipe: str) -> None:
        name = FIXTURES[recipe]
        self.held = np.load(folder / f"{name}.npz")
        self.keys = json.loads((folder / f"{name}.keys.json").read_text())
        choice = find_architecture(recipe)
        self.model = build(choice.architecture, choice.model).eval()
        filters = np.load(folder / "bytesep_pqmf_filters.npz")
        converter = converters()[choice.architecture]
        self.moves = converter.moves(self.model)
        state = self.model.state_dict()
        for move in self.moves:
            own = state[move.ours]
            if move.theirs in filters:
                value = torch.from_numpy(filters[move.theirs])
            else:
                value = _fill(move.theirs, next(k for k in self.keys if k["key"] == move.theirs))
            own.copy_(move.change(value))
        self.unknown = {k["key"] for k in self.keys} - {move.theirs for move in self.moves}
        self.inside = _watch(self.model)
        self.estimates: dict[str, NDArray[np.float32]] = {}
        with torch.inference_mode():
            for name in ("input_noise", "input"):  # the features that are held are of the latter
                mixture = torch.from_numpy(self.held[name]).unsqueeze(0)
                self.estimates[name] = self.model(mixture)[0, 0].numpy()


def _fill(name: str, key: dict[str, object]) -> Tensor:
    """Return the values of an entry by the rule in the fixture's readme."""
    shape = tuple(key["shape"])  # type: ignore[call-overload]
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    count = int(np.prod(shape))
    g = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(count).reshape(shape)
    module, _, leaf = name.rpartition(".")
    norm = "bn" in module.rpartition(".")[2]
    if len(shape) > 1:
        value = 0.8 / np.sqrt(count / shape[0]) * g
    elif leaf == "running_var":
        value = 1 + 0.1 * np.abs(g)
    else:
        value = 1 + 0.1 * g if norm and leaf == "weight" else 0.05 * g
    return torch.from_numpy(value.astype(np.float32))


def _watch(model: Model) -> dict[str, Tensor]:
    """Return a dict that each forward pass fills with inner features, by their names there."""
    seen: dict[str, Tensor] = {}
    watched = {"conv_block7d": model.bottleneck, "decoder_block1": model.decoder[-1]}
    for name, module in watched.items():
        module.register_forward_hook(lambda *a, name=name: seen.update({name: a[2]}))
    model.bottleneck.register_forward_pre_hook(lambda _, a: seen.update(encoder_block6=a[0]))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tolerance"), [("input_noise", 1e-5), ("input", 1e-3)])
def test_estimates_are_theirs(filled: Filled, name: str, tolerance: float) -> None:
    estimate = filled.estimates[name]
    output = filled.held[name.replace("input", "output")]
    assert np.abs(output).max() > 0.05
    np.testing.assert_allclose(estimate, output, rtol=0, atol=tolerance)


@pytest.mark.slow
def test_features_along_the_way_are_theirs(filled: Filled) -> None:
    for name in ("encoder_block6", "conv_block7d", "decoder_block1"):
        features = filled.inside[name][0].transpose(1, 2).numpy()  # theirs: time first
        scale = np.abs(filled.held[name]).max()
        np.testing.assert_allclose(features, filled.held[name], rtol=0, atol=1e-4 * scale)


@pytest.mark.slow
def test_every_entry_of_theirs_is_known(filled: Filled) -> None:
    assert all(name.startswith(("stft.", "istft.")) for name in filled.unknown)


def _theirs(recipe: str) -> tuple[Model, dict[str, Tensor]]:
    """Return a small model, and the tensors of a checkpoint of that size."""
    choice = find_architecture(recipe)
    model = build(choice.architecture, choice.model | RECIPES[recipe])
    tensors = {}
    for move in converters()[choice.architecture].moves(model):
        own = model.state_dict()[move.ours]
        if "ana_conv" in move.theirs:
            tensors[move.theirs] = torch.randn(4, 1, 64)
        elif "syn_conv" in move.theirs:
            tensors[move.theirs] = torch.randn(4, 4, 16)
        elif move.theirs.endswith("num_batches_tracked"):
            tensors[move.theirs] = torch.tensor(7)
        else:
            shape = own.transpose(2, 3).shape if own.ndim == 4 else own.shape
            tensors[move.theirs] = 0.1 * torch.randn(shape) if own.ndim == 4 else torch.rand(shape)
    fixed = {"stft.conv_real.weight": torch.zeros(33, 1, 64), "istft.ola_window": torch.zeros(64)}
    return model, tensors | fixed


@pytest.mark.parametrize("stem", ["vocals", "accompaniment"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_checkpoint_becomes_a_model(recipe: str, stem: str, tmp_path: Path) -> None:
    _, theirs = _theirs(recipe)
    source, out = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    torch.save({"step": 500000, "model": theirs}, source)
    unlike_file = {name: v for name, v in RECIPES[recipe].items() if name != "widths"}
    imported = convert_weights(source, recipe, out, settings={"stems": [stem], **unlike_file})
    assert imported.stems == (stem,)
    model = load_model(out)
    assert model.stems == (stem,)
    for move in converters()[imported.architecture].moves(model):
        assert torch.equal(model.state_dict()[move.ours], move.change(theirs[move.theirs]))
    with torch.inference_mode():
        assert model(torch.randn(1, 2, 3001)).isfinite().all()


def test_counts_of_batches_may_be_missing(tmp_path: Path) -> None:
    """Early versions of InPlaceABN stored none."""
    _, theirs = _theirs("resunet")
    held = {name: value for name, value in theirs.items() if not name.endswith("_tracked")}
    torch.save({"step": 1, "model": held}, tmp_path / "theirs.pth")
    small = {name: value for name, value in SMALL.items() if name != "widths"}
    convert_weights(tmp_path / "theirs.pth", "resunet", tmp_path / "ours", settings=small)


def test_weights_of_in_place_normalisation_lose_their_sign() -> None:
    model, _ = _theirs("resunet")
    moves = {move.theirs: move for move in converters()["resunet"].moves(model)}
    change = moves["encoder_block1.conv_block1.abn2.weight"].change
    torch.testing.assert_close(change(torch.tensor([-0.5, 0.0])), torch.tensor([0.50001, 1e-5]))
    plain = moves["encoder_block1.conv_block1.bn1.weight"].change
    assert plain(torch.tensor([-0.5])) == -0.5


def test_the_other_recipe_is_refused(tmp_path: Path) -> None:
    _, theirs = _theirs("resunet-subband")
    torch.save({"step": 1, "model": theirs}, tmp_path / "theirs.pth")
    with pytest.raises(ModelError, match=r"theirs.pth: does not fit .*abn2.*not expected: .*bn2"):
        convert_weights(tmp_path / "theirs.pth", "resunet", tmp_path / "ours", settings=SMALL)
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_truncated_file_is_refused(recipe: str, tmp_path: Path) -> None:
    source = tmp_path / "theirs.pth"
    torch.save({"step": 1, "model": _theirs(recipe)[1]}, source)
    source.write_bytes(source.read_bytes()[:20000])
    with pytest.raises(ModelError, match=r"theirs\.pth: expected a checkpoint of ByteDance's"):
        convert_weights(source, recipe, tmp_path / "ours")


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"weight": torch.zeros(3)}, 'no table "model"'),
        ({"model": {"weight": torch.zeros(3)}}, r"not found among its 1 tensors \(weight\)"),
    ],
)
def test_something_else_is_refused(
    recipe: str, content: dict[str, object], reason: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=rf"other\.pth: .*ByteDance's.*{reason}"):
        convert_weights(tmp_path / "other.pth", recipe, tmp_path / "ours")


def test_the_small_network_computes_what_its_names_say() -> None:
    """It has no fixture: one level and its upsampling are written out by their names."""
    model, theirs = _theirs("mobilenet-subband")
    for move in converters()["mobilenet-subband"].moves(model):
        model.state_dict()[move.ours].copy_(move.change(theirs[move.theirs]))

    def turn(features: Tensor, norm: str, convolution: str) -> Tensor:
        statistics = (theirs[f"{norm}.{name}"] for name in ("running_mean", "running_var"))
        features = F.batch_norm(
            features, *statistics, theirs[f"{norm}.weight"], theirs[f"{norm}.bias"]
        )
        weight = theirs[f"{convolution}.weight"]
        groups = len(weight) if weight.shape[-1] == 3 else 1
        padding = weight.shape[-1] // 2
        return F.conv2d(F.leaky_relu(features, 0.01), weight, padding=padding, groups=groups)

    def block(features: Tensor, name: str) -> Tensor:
        for half in "12":
            branch = features
            for part in "abc":
                branch = turn(branch, f"{name}.bn{half}{part}", f"{name}.conv{half}{part}")
            if half == "1" and f"{name}.shortcut.weight" in theirs:
                weight, bias = (theirs[f"{name}.shortcut.{leaf}"] for leaf in ("weight", "bias"))
                features = F.conv2d(features, weight, bias)
            features = features + branch
        return features

    model.eval()
    features = torch.randn(1, 6, 5, 8)  # theirs: [B, width, T, F]
    skip = torch.randn(1, 4, 10, 16)
    name = "decoder_block2"
    with torch.inference_mode():
        doubled = turn(F.interpolate(features, scale_factor=2.0), f"{name}.bn1", f"{name}.conv1")
        expected = block(torch.cat([doubled, skip], 1), f"{name}.conv_block2")
        level = model.decoder[0]  # type: ignore[index]
        ours = level(features.transpose(2, 3), skip.transpose(2, 3))
        torch.testing.assert_close(ours.transpose(2, 3), expected)
        deepest = block(features, "conv_block3")
        ours = model.bottleneck(features.transpose(2, 3))
        torch.testing.assert_close(ours.transpose(2, 3), deepest)
