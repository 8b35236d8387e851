"""``separate --model``: every recipe, at random weights, on a real song, from file to files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from smoke import of_each_architecture, slow_but

from unmix.audio import AudioWriter, OutputFormat, read_audio
from unmix.models import build
from unmix.recipes.reading import recipes
from unmix.stems import with_residual
from unmix.training.config import read_recipe
from unmix.weights.load import save_weights

Unmix = Callable[..., Any]


@pytest.fixture(scope="module")
def song(excerpt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of a real song."""
    samples, rate = read_audio(excerpt)
    path = tmp_path_factory.mktemp("song") / "song.wav"
    with AudioWriter(path, sample_rate=rate, channels=2, format=OutputFormat.parse("wav")) as file:
        file.write(samples[:, 10 * rate : 10 * rate + rate // 2])
    return path


@pytest.mark.parametrize("name", slow_but(of_each_architecture(), recipes()))
def test_every_recipe_separates_a_song(unmix: Unmix, song: Path, name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = read_recipe(recipes()[name])
    model = build(recipe.architecture, recipe.model | recipe.smoke)
    weights = tmp_path / "model.safetensors"
    config = model.config.model_dump(mode="json")
    save_weights(weights, recipe.architecture, config, model.state_dict(), "none")
    outcome = unmix("separate", song, "--model", weights, "-o", tmp_path, "--stems", "all")
    assert outcome.code == 0, outcome.err
    written = {Path(line).stem for line in outcome.out.splitlines()}
    assert written == set(with_residual(model.stems))
    mixture, _ = read_audio(song)
    vocals, accompaniment = (
        read_audio(tmp_path / "song" / f"{stem}.wav")[0] for stem in ("vocals", "accompaniment")
    )
    assert vocals.shape == accompaniment.shape == mixture.shape
    if "lowered" not in outcome.err:  # by one gain, so that no stem clips
        np.testing.assert_allclose(vocals + accompaniment, mixture, atol=1e-4)
    else:
        assert max(np.abs(vocals).max(), np.abs(accompaniment).max()) > 0.95
