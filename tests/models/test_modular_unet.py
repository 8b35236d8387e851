"""The modular U-Net: every block with every skip and bottom, and what it refuses."""

import itertools
from typing import Any

import pytest
import torch

from unmix.errors import ConfigError
from unmix.models import Model, build
from unmix.models.modular_unet import ModularUNet, ModularUNetConfig, _bounded

BLOCKS = ("plain", "residual", "dense", "multires", "recurrent", "tfc-tdf")
SKIPS = ("concat", "add", "multiply", "attention", "respath", "nested")
SMALL: dict[str, Any] = {"n_fft": 64, "hop_length": 16, "frames": 16, "width": 8, "depth": 2}
COMPLEX = {"kind": "complex"}


def _build(**settings: Any) -> Model:
    torch.manual_seed(0)
    return build("modular-unet", SMALL | settings).eval()


def _held_to_the_laws(model: Model) -> None:
    """Shapes, finite numbers, a gradient to every weight, and levels."""
    mixture = 0.5 * torch.randn(2, 2, model.chunk)
    with torch.inference_mode():
        loud, soft = model(mixture), model(mixture / 10)
        assert model(mixture[..., :77]).shape == (2, len(model.stems), 2, 77)
    assert loud.shape == (2, len(model.stems), 2, model.chunk)
    assert loud.isfinite().all()
    torch.testing.assert_close(loud / 10, soft, atol=1e-4, rtol=1e-2)
    estimates = model.train()(mixture)
    (estimates * torch.randn_like(estimates)).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("bottom", ["block", "axial"])
@pytest.mark.parametrize(("block", "skip"), list(itertools.product(BLOCKS, SKIPS)))
def test_any_block_with_any_skip_and_bottom(block: str, skip: str, bottom: str) -> None:
    _held_to_the_laws(
        _build(block={"kind": block}, skip=skip, bottleneck={"kind": bottom, "layers": 1})
    )


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "gelu", "silu"])
@pytest.mark.parametrize("block", ["plain", "residual"])
def test_any_norm_with_any_activation(block: str, activation: str, norm: str) -> None:
    _held_to_the_laws(_build(block={"kind": block, "norm": norm, "activation": activation}))


@pytest.mark.parametrize("down", ["conv", "pool"])
@pytest.mark.parametrize("up", ["transposed", "repeat"])
@pytest.mark.parametrize("growth", ["double", "linear"])
@pytest.mark.parametrize("block", ["dense", "tfc-tdf"])
def test_any_way_down_and_up(block: str, growth: str, up: str, down: str) -> None:
    model = _build(block={"kind": block}, growth=growth, resampling={"down": down, "up": up})
    assert model.config.widths == ([8, 16, 32] if growth == "double" else [8, 16, 24])
    _held_to_the_laws(model)


@pytest.mark.parametrize("subbands", [1, 2, 4])
@pytest.mark.parametrize("plane", [True, False])
@pytest.mark.parametrize(
    ("kind", "mask"),
    [
        ("magnitude", "ratio"),
        ("complex", "ratio"),
        ("complex", "complex"),
        ("complex", "bounded-complex"),
    ],
)
def test_any_input_with_its_masks(kind: str, mask: str, plane: bool, subbands: int) -> None:
    features = {"kind": kind, "frequency_plane": plane, "subbands": subbands}
    model = _build(
        block={"kind": "tfc-tdf"}, features=features, mask=mask, stems=("vocals", "drums", "other")
    )
    assert isinstance(model, ModularUNet)
    frames = model.stft(torch.randn(1, 2, 999))
    values = model.predict_mask(frames)
    assert values.shape == (1, 3, 2, 33, frames.shape[-1])
    assert values.is_complex() == (mask != "ratio")
    assert values[..., 0, :].abs().max() == 0  # nothing at 0 Hz is a voice
    assert values[..., 1:, :].abs().min() > 0
    if mask != "complex":
        assert values.abs().max() <= 1
    _held_to_the_laws(model)


@pytest.mark.parametrize("n_fft", [63, 96, 100, 130])
@pytest.mark.parametrize("block", ["plain", "tfc-tdf"])
@pytest.mark.parametrize("subbands", [1, 3])
def test_any_number_of_bins(block: str, n_fft: int, subbands: int) -> None:
    """Bins that halvings and sub-bands do not divide are padded, and cropped again."""
    features = {"kind": "complex", "subbands": subbands}
    model = _build(n_fft=n_fft, block={"kind": block}, features=features)
    assert isinstance(model, ModularUNet)
    assert model.config.bins % 4 == 0
    assert n_fft // 2 <= subbands * model.config.bins < n_fft // 2 + 4 * subbands
    _held_to_the_laws(model)


@pytest.mark.parametrize("block", BLOCKS)
def test_deep_levels_may_have_more_layers(block: str) -> None:
    model = _build(block={"kind": block, "layers": [1, 2]})
    _held_to_the_laws(model)
    assert isinstance(model, ModularUNet)
    for layers, first in ((1, True), (2, False)):
        same = _build(block={"kind": block, "layers": layers})
        assert isinstance(same, ModularUNet)
        found = [[*each.skeleton.blocks, *reversed(each.skeleton.nodes)] for each in (model, same)]
        for level, (mine, other) in zip([0, 1, 2, 0, 1], zip(*found, strict=True), strict=True):
            alike = mine.state_dict().keys() == other.state_dict().keys()
            assert alike == ((level == 0) == first), level


def test_a_list_of_one_number_of_layers_is_that_number() -> None:
    one, many = (_build(block={"kind": "tfc-tdf", "layers": layers}) for layers in (2, [2]))
    mixture = torch.randn(1, 2, 999)
    torch.testing.assert_close(one(mixture), many(mixture), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        (0, r"block\.layers\.0: .* greater"),
        ([], r"block\.layers: .* at least 1"),
        ([1, 0], r"block\.layers\.1: .* greater"),
        ("two", r"block\.layers: "),
        ([1, 1, 1, 2], "block.layers has 4 numbers for 3 levels"),
    ],
)
def test_layers_that_no_block_has_are_refused(layers: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        _build(block={"kind": "plain", "layers": layers})


@pytest.mark.parametrize("kind", ["magnitude", "complex"])
def test_under_autocast_features_have_16_bits(kind: str) -> None:
    model = _build(features={"kind": kind})
    assert isinstance(model, ModularUNet)
    seen = []
    model.skeleton.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    mixture = torch.randn(1, 2, 999)
    with torch.inference_mode():
        model(mixture)
        with torch.autocast("cpu", torch.bfloat16):
            model(mixture)
            model.double()(mixture.double())
    assert seen == [torch.float32, torch.bfloat16, torch.float64]


def test_a_bounded_mask_keeps_its_phase() -> None:
    mask = torch.randn(5, 4, dtype=torch.complex64) * torch.logspace(-4, 4, 5)[:, None]
    bounded = _bounded(mask)
    torch.testing.assert_close(bounded.angle(), mask.angle())
    torch.testing.assert_close(bounded.abs(), mask.abs().tanh())
    assert _bounded(torch.zeros(3, dtype=torch.complex64)).abs().max() == 0


def test_parts_of_complex_masks_are_pairs() -> None:
    """What the head says, stem by stem and channel by channel: real, then imaginary."""
    model = _build(features=COMPLEX, mask="complex", stems=("vocals", "other"))
    assert isinstance(model, ModularUNet)
    torch.nn.init.zeros_(model.head.weight)
    model.head.bias.data.copy_(torch.arange(8))
    mask = model.predict_mask(model.stft(torch.randn(1, 2, 500)))[0, :, :, 7, 3]
    assert mask.tolist() == [[0 + 1j, 2 + 3j], [4 + 5j, 6 + 7j]]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"depth": 5}, r"32 bins in 1 sub-bands cannot be halved 5 times"),
        ({"features": {"subbands": 8}}, r"32 bins in 8 sub-bands cannot be halved"),
        ({"mask": "complex"}, r"needs features with a phase; choose features\.kind"),
        ({"mask": "bounded-complex"}, r"needs features with a phase"),
        ({"width": 6, "block": {"kind": "dense"}}, r"a multiple of 4 feature maps, got 6"),
        ({"width": 2, "block": {"kind": "multires"}}, r"needs at least 3 feature maps, got 2"),
        (
            {"bottleneck": {"kind": "axial", "heads": 5}},
            r"multiple of 10 for 5 .*, got 32",
        ),
        ({"block": {"kind": "octave"}}, r"block\.kind: .*'tfc-tdf'"),
        ({"skip": "sum"}, r"skip: .*'nested'"),
        ({"block": {"layer": 2}}, r"block\.layer: unknown key"),
    ],
)
def test_refuses_what_cannot_work(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        build("modular-unet", SMALL | wrong)


def test_the_full_band_is_four_subbands_of_512_bins() -> None:
    features = {"subbands": 4}
    assert ModularUNetConfig(n_fft=4096, depth=5, features=features).bins == 512  # type: ignore[arg-type]
    assert ModularUNetConfig(n_fft=6144, depth=5, features=features).bins == 768  # type: ignore[arg-type]
