"""Laws over every registered architecture and every recipe."""

import pytest
import torch

from unmix.errors import ConfigError, ModelError
from unmix.models import Model, build, config_type, names, register
from unmix.models.unet import UNet, UNetConfig
from unmix.training.config import Recipe
from unmix.training.recipes import recipes


def test_every_architecture_has_a_recipe(recipe: Recipe) -> None:
    assert recipe.architecture in names()
    used = {r.architecture for r in map(_read, recipes())}
    assert used == set(names())


def _read(name: str) -> Recipe:
    from unmix.training.config import read_recipe

    return read_recipe(recipes()[name])


def test_says_who_wrote_the_paper(recipe: Recipe) -> None:
    import sys

    module = sys.modules[type(build(recipe.architecture, recipe.model | recipe.smoke)).__module__]
    assert "et al." in (module.__doc__ or "").partition("\n")[0]


@pytest.mark.parametrize("length", [1, 63, 1000, 8191])
@pytest.mark.parametrize("batch", [1, 3])
def test_separates_any_length(smoke_model: Model, batch: int, length: int) -> None:
    mixture = 0.1 * torch.randn(batch, smoke_model.audio_channels, length + 2 * smoke_model.context)
    with torch.inference_mode():
        estimates = smoke_model(mixture)
    assert estimates.shape == (batch, len(smoke_model.stems), smoke_model.audio_channels, length)
    assert estimates.isfinite().all()


def test_silence_stays_silence(smoke_model: Model) -> None:
    with torch.inference_mode():
        estimates = smoke_model(torch.zeros(1, smoke_model.audio_channels, smoke_model.chunk))
    assert estimates.abs().max() == 0


def test_deterministic_and_independent_of_the_batch(smoke_model: Model) -> None:
    mixture = 0.1 * torch.randn(2, smoke_model.audio_channels, smoke_model.chunk)
    with torch.inference_mode():
        both, again = smoke_model(mixture), smoke_model(mixture)
        alone = smoke_model(mixture[1:])
    assert torch.equal(both, again)
    torch.testing.assert_close(both[1:], alone, atol=1e-6, rtol=1e-4)


def test_louder_in_is_louder_out(smoke_model: Model) -> None:
    """Levels are relative: a recording 20 dB softer separates the same way."""
    mixture = 0.5 * torch.randn(1, smoke_model.audio_channels, smoke_model.chunk)
    with torch.inference_mode():
        loud, soft = smoke_model(mixture), smoke_model(mixture / 10)
    torch.testing.assert_close(loud / 10, soft, atol=1e-4, rtol=1e-2)


def test_every_weight_learns(smoke_model: Model) -> None:
    smoke_model.train()
    mixture = 0.1 * torch.randn(2, smoke_model.audio_channels, smoke_model.chunk)
    smoke_model(mixture).abs().mean().backward()
    for name, parameter in smoke_model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_unknown_architecture_lists_the_choices() -> None:
    with pytest.raises(ModelError, match=r"choose from .*unet"):
        build("u-net", {})
    with pytest.raises(ModelError, match=r"choose from .*unet"):
        config_type("u-net")


def test_unknown_setting_names_file_and_key() -> None:
    with pytest.raises(ConfigError, match=r"my\.toml: widht: unknown key; choose from .*width"):
        build("unet", {"widht": 3}, "my.toml")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        register("unet", UNetConfig)(UNet)
