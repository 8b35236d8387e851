"""Hybrid Demucs: torchaudio's network, wrapped without a change to what it computes."""

import sys
from types import ModuleType

import pytest
import torch

from unmix.errors import ModelError
from unmix.models import build
from unmix.recipes.reading import find_architecture


@pytest.mark.slow
def test_the_recipe_has_the_published_parameters() -> None:
    recipe = find_architecture("hybrid-demucs")
    model = build(recipe.architecture, recipe.model)
    assert sum(parameter.numel() for parameter in model.parameters()) == 83_639_368
    assert model.stems == ("drums", "bass", "other", "vocals")


def test_the_low_rate_variant_has_torchaudios_parameters() -> None:
    model = build("hybrid-demucs", {"n_fft": 1024})
    assert sum(parameter.numel() for parameter in model.parameters()) == 20_040_296


def test_computes_what_torchaudio_computes() -> None:
    torch.manual_seed(0)
    model = build("hybrid-demucs", {"n_fft": 1024, "width": 4}).eval()
    mixture = 0.1 * torch.randn(2, 2, 5000)
    with torch.inference_mode():
        torch.testing.assert_close(model(mixture), model.network(mixture))


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (None, r"torchaudio is not installed: run `pip install 'unmix\[hybrid-demucs\]'`"),
        (ModuleType("broken"), "needs a torchaudio that fits the installed torch"),
    ],
    ids=["missing", "broken"],
)
def test_a_torchaudio_that_does_not_load_is_explained(
    monkeypatch: pytest.MonkeyPatch, found: ModuleType | None, sentence: str
) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio.models", found)
    with pytest.raises(ModelError, match=sentence):
        build("hybrid-demucs", {"n_fft": 1024, "width": 4})
