"""Spleeter computes what Spleeter computed: logits, magnitudes, masks, waveforms, Wiener filter."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unmix import load_model
from unmix.frontends.masks import extend_mask
from unmix.models import build
from unmix.models.spleeter import Spleeter
from unmix.recipes.reading import find_architecture
from unmix.weights.converters import convert_weights, converters

RECIPES = ("spleeter-2stems", "spleeter-4stems", "spleeter-5stems")
#: The checkpoints of small networks: those of published statistics, and those of random ones.
CHECKPOINTS = (
    "2stems_reduced_released",
    "2stems_reduced_random",
    "4stems_reduced_released",
    "5stems_reduced_released",
    "5stems_reduced_random",
)
PARAMETERS = 9_823_749


@dataclass
class Computed:
    """What a model makes of the fixtures' mixture, and what Spleeter made of it."""

    model: Spleeter
    theirs: Any
    frames: Tensor
    inside: dict[str, Tensor]
    magnitudes: Tensor


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "parity_tf"


@pytest.fixture(scope="module")
def mixture(fixtures: Path) -> Tensor:
    """Three seconds ``[1, 2, 132300]``."""
    samples = np.load(fixtures / "spleeter_mixture.npz")["input_int16"].T
    return torch.from_numpy(np.float32(samples / 32768))[None]


@pytest.fixture(scope="module", params=CHECKPOINTS)
def computed(
    request: pytest.FixtureRequest,
    fixtures: Path,
    mixture: Tensor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Computed:
    model = _imported(fixtures, request.param, tmp_path_factory.mktemp("weights"))
    inside: dict[str, Tensor] = {}
    _listen(model, inside)
    with torch.inference_mode():
        frames = model.stft(mixture)
        magnitudes = model.estimate_magnitudes(frames)
    theirs = np.load(fixtures / f"spleeter_{request.param}.npz")
    return Computed(model, theirs, frames, inside, magnitudes)


def _imported(fixtures: Path, tag: str, folder: Path, **settings: object) -> Spleeter:
    recipe = f"spleeter-{tag.partition('_')[0]}"
    done = convert_weights(
        fixtures / f"spleeter_{tag}",
        recipe,
        folder / "weights.safetensors",
        settings={"mask_extension": "zeros", **settings},
    )
    model = load_model(done.path)
    assert isinstance(model, Spleeter)
    return model


def _listen(model: Spleeter, inside: dict[str, Tensor]) -> None:
    """Keep the networks' logits, and the convolutions of the first."""

    def keep(module: nn.Module, name: str) -> None:
        module.register_forward_hook(lambda _module, _inputs, out: inside.update({name: out}))

    for name, network in zip(model.stems, model.networks, strict=True):
        keep(network, f"logit_{name}")
    first = model.networks[0]
    for level in range(6):
        keep(first.encoder[level].conv, f"conv{level + 1}")
        keep(first.decoder[level].conv, f"deconv{level + 1}")


def _theirs(tensor: Tensor) -> NDArray[np.float32]:
    """Return ``[C, F, T]`` in Spleeter's order, [T, F, C]."""
    return tensor.permute(2, 1, 0).numpy()


def _differ(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max())


def _check_waves(model: Spleeter, mixture: Tensor, theirs: Any, kind: str, bound: float) -> None:
    with torch.inference_mode():
        estimates = model(mixture)[0]
    found = 0
    for stem, estimate in zip(model.stems, estimates, strict=True):
        if f"wave_{kind}_{stem}" in theirs:
            found += 1
            slices = [estimate[:, start:end] for start, end in theirs["wave_slices"]]
            wave = torch.cat(slices, 1).T.numpy()
            assert _differ(wave, theirs[f"wave_{kind}_{stem}"]) < bound, stem
    assert found


def test_frames(fixtures: Path, mixture: Tensor) -> None:
    model = build("spleeter", find_architecture("spleeter-2stems").model)
    assert isinstance(model, Spleeter)
    theirs = np.load(fixtures / "spleeter_mixture.npz")
    frames = model.stft(mixture)[0]
    assert frames.shape == (2, 2049, int(theirs["n_frames"]))
    ours = frames.permute(2, 1, 0)
    assert np.abs(ours[theirs["stft_frames"]].numpy() - theirs["stft"]).max() < 1e-4
    sums = ours[:, :1024].abs().double().sum((1, 2)).numpy()
    np.testing.assert_allclose(sums, theirs["magnitude_sum_per_frame"][:134], rtol=1e-5, atol=1e-2)
    assert not theirs["magnitude_sum_per_frame"][134:].any()


def test_logits(computed: Computed) -> None:
    for stem in computed.model.stems:
        if f"logit_{stem}" in computed.theirs:
            ours = _theirs(computed.inside[f"logit_{stem}"][0])
            frames = computed.theirs["frames_logit"]
            assert _differ(ours[frames], computed.theirs[f"logit_{stem}"]) < 1e-4, stem


def test_layers(computed: Computed) -> None:
    for name in ("conv1", "conv5", "conv6", "deconv1", "deconv2", "deconv6"):
        theirs = computed.theirs[f"inter_vocals_{name}"]
        ours = _theirs(computed.inside[name][0])[: theirs.shape[0], : theirs.shape[1]]
        assert _differ(ours, theirs) < 1e-4, name


def test_magnitudes(computed: Computed) -> None:
    for stem, magnitude in zip(computed.model.stems, computed.magnitudes[0], strict=True):
        ours = _theirs(magnitude)[computed.theirs["frames_S"]]
        assert _differ(ours, computed.theirs[f"S_{stem}"]) < 1e-3, stem


def test_masks(computed: Computed) -> None:
    with torch.inference_mode():
        masks = computed.model.predict_mask(computed.frames)
    assert masks[..., 1024:, :].abs().max() == 0
    average = extend_mask(masks[..., :1024, :], 2049, "average")
    for rank, stem in enumerate(computed.model.stems):
        above = average[0, rank, :, -1].T.numpy()
        assert _differ(above, computed.theirs[f"mask_average_extension_{stem}"]) < 1e-5, stem
        if f"mask_{stem}" in computed.theirs:
            ours = _theirs(masks[0, rank])[computed.theirs["frames_mask"], :1024]
            assert _differ(ours, computed.theirs[f"mask_{stem}"]) < 2e-4, stem


def test_waveforms(computed: Computed, mixture: Tensor) -> None:
    _check_waves(computed.model, mixture, computed.theirs, "zeros", 2e-6)


def test_every_sample_of_a_waveform(fixtures: Path, mixture: Tensor, tmp_path: Path) -> None:
    model = _imported(fixtures, "2stems_reduced_released", tmp_path)
    theirs = np.load(fixtures / "spleeter_2stems_reduced_released.npz")["wave_zeros_full_vocals"]
    with torch.inference_mode():
        assert _differ(model(mixture)[0, 0].T.numpy(), theirs) < 2e-6


@pytest.mark.parametrize("tag", ["2stems_reduced_released", "5stems_reduced_released"])
def test_waveforms_with_average_extension(
    tag: str, fixtures: Path, mixture: Tensor, tmp_path: Path
) -> None:
    model = _imported(fixtures, tag, tmp_path, mask_extension="average")
    _check_waves(model, mixture, np.load(fixtures / f"spleeter_{tag}.npz"), "average", 2e-6)


def test_waveforms_after_the_wiener_filter(fixtures: Path, mixture: Tensor, tmp_path: Path) -> None:
    tag = "2stems_reduced_released"
    model = _imported(fixtures, tag, tmp_path, wiener=1)
    _check_waves(model, mixture, np.load(fixtures / f"spleeter_{tag}_mwf.npz"), "mwf", 5e-6)


def _filled(name: str, shape: list[int]) -> NDArray[np.float32]:
    """Return a variable of the fixtures' rule (published statistics)."""
    layer, _, kind = name.rpartition("/")
    if kind.startswith("moving"):
        return np.full(shape, float(kind == "moving_variance"), np.float32)
    generator = np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF)
    noise = generator.standard_normal(int(np.prod(shape))).reshape(shape)
    if kind == "kernel":
        height, width, inputs, _ = shape
        if layer.startswith("conv2d_transpose"):
            noise /= np.sqrt(height * width * shape[3] / 4)
        elif shape[:3] == [4, 4, 1]:
            noise *= 4 / np.sqrt(16)
        else:
            noise *= (0.1 if inputs == 2 else 1) / np.sqrt(height * width * inputs)
    else:
        noise = 1 + 0.1 * noise if kind == "gamma" else 0.05 * noise
    return noise.astype(np.float32)


@pytest.mark.slow
def test_full_size(fixtures: Path, mixture: Tensor) -> None:
    variables = json.loads((fixtures / "spleeter_4stems_fullsize_variables.json").read_text())
    rule = json.loads((fixtures / "spleeter_4stems_fullsize_released_rule.fill.json").read_text())
    settings = find_architecture("spleeter-4stems").model | {"mask_extension": "zeros"}
    model = build("spleeter", settings).eval()
    assert isinstance(model, Spleeter)
    shapes = {variable["name"]: variable["shape"] for variable in variables}
    state = model.state_dict()
    for move in converters()["spleeter"].moves(model):
        if not move.optional:
            filled = _filled(move.theirs, shapes[move.theirs])
            state[move.ours].copy_(move.change(torch.from_numpy(filled)))
    for name, (first, last, total, _) in rule["check_first_last_sum_abssum_float64"].items():
        filled = _filled(name, shapes[name]).astype(np.float64)
        assert [filled.flat[0], filled.flat[-1], filled.sum()] == pytest.approx(
            [first, last, total]
        )
    theirs = np.load(fixtures / "spleeter_4stems_fullsize_released_rule.npz")
    with torch.inference_mode():
        magnitudes = model.estimate_magnitudes(model.stft(mixture))[0]
    for stem, magnitude in zip(model.stems, magnitudes, strict=True):
        assert _differ(_theirs(magnitude)[theirs["frames_S"]], theirs[f"S_{stem}"]) < 1e-3, stem
    _check_waves(model, mixture, theirs, "zeros", 2e-6)


@pytest.mark.parametrize("recipe", RECIPES)
def test_as_many_parameters_as_published(recipe: str) -> None:
    model = build("spleeter", find_architecture(recipe).model)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS * len(model.stems)
    # What does not learn is the one normalisation that nothing follows.
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {
        f"networks.{rank}.encoder.5.norm.{kind}"
        for rank in range(len(model.stems))
        for kind in ("weight", "bias")
    }


def test_a_piece_is_512_frames() -> None:
    model = build("spleeter", find_architecture("spleeter-2stems").model)
    assert isinstance(model, Spleeter)
    assert model.stft.frame_count(model.chunk) == 512
    assert model.stft.frame_count(model.chunk + 1) == 513
