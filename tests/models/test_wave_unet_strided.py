"""The strided Wave-U-Net against the facts of its public code."""

from pathlib import Path

import numpy as np
import pytest
import torch

from unmix.errors import ConfigError
from unmix.models import Model, build
from unmix.models.wave_unet_strided import low_pass
from unmix.recipes.reading import recipes
from unmix.training.config import read_recipe

SMALL = {"width": 8, "depth": 3, "output_samples": 150, "stems": ["vocals", "other"]}


def _small(**changes: object) -> Model:
    torch.manual_seed(0)
    return build("wave-unet-strided", SMALL | changes).eval()


def test_the_recipe_is_the_public_model() -> None:
    with torch.device("meta"):
        model = build("wave-unet-strided", read_recipe(recipes()["wave-unet-strided"]).model)
    assert sum(p.numel() for p in model.networks[0].parameters()) == 17_477_538
    assert sum(p.numel() for p in model.parameters()) == 69_910_152
    assert sum(t.numel() for t in model.state_dict().values()) == 69_910_152  # taps are computed
    assert (model.chunk, model.context) == (88_409, 4776)
    assert model.chunk + 2 * model.context == 97_961
    assert model.stems == ("bass", "drums", "other", "vocals")


def test_low_pass_filters_are_those_of_the_public_code(shared: Path) -> None:
    expected = np.load(shared / "parity" / "waveunet_sinc_filter.npz")["filter"]
    np.testing.assert_allclose(low_pass(4).numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("stride", [2, 3, 4, 8])
def test_low_pass_filters_keep_what_is_constant_and_drop_what_would_alias(stride: int) -> None:
    taps = low_pass(stride).double()
    assert float(taps.sum()) == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(taps, taps.flip(0))
    if stride <= 4:  # at more, 15 taps are short
        highest = (taps * torch.cos(torch.pi * torch.arange(15))).sum()
        assert abs(float(highest)) < 0.01


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [2, 3, 4, 6])
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_every_geometry_returns_every_length(kernel: int, stride: int, depth: int) -> None:
    model = _small(kernel=kernel, stride=stride, depth=depth)
    lengths = [1, 2, 3, 50, 151]
    with torch.inference_mode():
        for length in lengths:
            assert model(torch.randn(1, 2, length + 2 * model.context)).shape == (1, 2, 2, length)
    with pytest.raises(ValueError, match="expected more than"):
        model(torch.randn(1, 2, 2 * model.context))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [2, 4])
def test_a_chunk_needs_no_padding(kernel: int, stride: int) -> None:
    """Where padding is needed, it is silence on the right, up to the next chunk's length."""
    model = _small(kernel=kernel, stride=stride)
    assert model.chunk >= 150
    full = model.chunk + 2 * model.context
    assert model._input_length(model.chunk) == full
    assert model._input_length(model.chunk + 1) == full + stride ** (model.config.depth - 1)
    mixture = torch.randn(1, 2, full)
    mixture[..., -3:] = 0
    with torch.inference_mode():
        torch.testing.assert_close(model(mixture[..., :-3]), model(mixture)[..., :-3])


def test_an_estimate_stands_where_its_sound_stands() -> None:
    """The sample in the middle of the context is the one that an estimate is of."""
    model = _small()
    length = model.chunk
    mixture = torch.randn(1, 2, length + 2 * model.context, requires_grad=True)
    middle = length // 2
    model.train()(mixture)[0, 0, 0, middle].backward()
    weight = mixture.grad[0].abs().sum(0)
    position = (weight**4 * torch.arange(len(weight))).sum() / (weight**4).sum()
    assert abs(float(position) - (middle + model.context)) < 16


def test_every_stem_has_a_network_of_its_own() -> None:
    model = _small()
    mixture = torch.randn(1, 2, model.chunk + 2 * model.context)
    with torch.inference_mode():
        before = model(mixture)
        model.networks[1].output.weight.mul_(2)
        after = model(mixture)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_estimates_are_clamped_in_evaluation_only() -> None:
    model = _small()
    with torch.no_grad():
        model.networks[0].output.weight.mul_(100)
        mixture = torch.randn(1, 2, model.chunk + 2 * model.context)
        free = model.train()(mixture)
        assert free.abs().max() > 1
        assert torch.equal(model.eval()(mixture), free.clamp(-1, 1))


@pytest.mark.parametrize("wrong", [{"width": 12}, {"kernel": 4}, {"stride": 1}, {"depth": 1}])
def test_refuses_what_cannot_work(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        build("wave-unet-strided", wrong)
