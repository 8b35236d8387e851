"""Every recipe trains: what its [train] names is there, and the loss falls, by one command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from unmix.data import RandomMixtures, open_corpus
from unmix.models import build, config_type
from unmix.recipes import recipes
from unmix.training.config import Recipe, TrainConfig, read_recipe, training_of
from unmix.training.loop import train
from unmix.training.objective import Objective
from unmix.training.optimisation import build_optimizer, learning_rate_factor
from unmix.training.run import Run
from unmix.training.validation import TrackValidator

Log = Callable[..., Any]
#: Corpora that no one has but whoever trains the recipe.
OWN = ("five-stems",)
#: Hz of the sine that a stem is; songs are a little apart.
PITCHES = {
    "vocals": 440,
    "accompaniment": 200,
    "drums": 150,
    "bass": 60,
    "other": 900,
    "piano": 650,
}


@pytest.fixture(params=sorted(recipes()))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(recipes()[request.param])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that recipes name, with hardly anything in them."""
    data = tmp_path_factory.mktemp("data")
    four = ("vocals", "drums", "bass", "other")
    for split in ("train", "dev"):
        _song(data / "musdb18-7" / split / "one", four)
        _song(data / "five-stems" / split / "one", (*four, "piano"))
    for singer in ("amy", "abjones"):
        _song(data / "mir1k" / singer / f"{singer}_1_01", ("vocals", "accompaniment"))
    for source in ("gtsinger", "m4singer", "neuralsvb", "opensinger"):
        _song(data / "singing" / source, ("vocals",))
    _song(data / "instrumental" / "tuxemon", ("accompaniment",))
    return data


def _song(folder: Path, stems: tuple[str, ...]) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for stem in stems:
        samples = 0.2 * np.sin(2 * np.pi * PITCHES[stem] * np.arange(8000) / 8000)
        samples += 0.001 * random.standard_normal(8000)
        soundfile.write(folder / f"{stem}.wav", samples, 8000)


def test_says_how_to_train_it(recipe: Recipe) -> None:
    """The table is valid, and optimizer, learning rate and losses can be made of it."""
    config = _training(recipe)
    model = build(recipe.architecture, recipe.model | recipe.smoke)
    assert build_optimizer(model.parameters(), config).param_groups[0]["lr"] > 0
    Objective(model, config.loss, torch.device("cpu"))
    factors = [learning_rate_factor(step, config) for step in range(config.steps)]
    assert max(factors) == pytest.approx(1, abs=1e-6)
    assert min(factors) > 0


def test_its_corpora_are_where_the_data_is_documented(recipe: Recipe, shared: Path) -> None:
    """And hold the stems that the model is trained on."""
    config = _training(recipe)
    data, stems = shared / "data", config_type(recipe.architecture)(**recipe.model).stems
    folders = [*config.validation, *(corpus.path for corpus in config.corpora)]
    if any(folder.split("/")[0] in OWN for folder in folders):
        pytest.skip("its data are the user's own")
    assert all((data / folder).is_dir() for folder in folders)
    assert not any("test" in Path(folder).parts for folder in folders)
    if len(config.corpora) > 2:
        pytest.skip("opening all of these takes long: the embedded model came of them")
    corpora = [open_corpus(corpus, data, stems) for corpus in config.corpora]
    RandomMixtures(
        corpora,
        config.mixing,
        sample_rate=8000,
        channels=1,
        length=8000,
        seed=config.seed,
        items=1,
        stems=stems,
    )


def test_its_loss_falls_at_smoke_size(
    recipe: Recipe, data: Path, tmp_path: Path, log: Log
) -> None:
    """From its own corpora, mixed its own way, by its own losses and optimizer, and validated."""
    settings = recipe.model | recipe.smoke | {"sample_rate": 8000}
    small = {
        "steps": 30,
        "batch_size": 2,
        "accumulate": 1,
        "warmup": 5,
        "learning_rate": 5e-3,
        "excerpt": 2000,
    }
    config = _training(recipe).model_copy(update=small)
    changed = recipe.model_copy(update={"model": settings, "train": config})
    run = Run(changed, config, data, tmp_path / "run", workers=0, device="cpu")
    heard = log()
    validator = None
    if config.validation:
        folders = [data / folder for folder in config.validation]
        validator = TrackValidator(folders, settings["stems"])
    last = train(run, heard, validator)
    print("LOSS", recipe.architecture, np.mean(heard.losses[:5]), np.mean(heard.losses[-5:]))
    assert np.mean(heard.losses[-8:]) < 0.9*np.mean(heard.losses[:8])
    assert last.is_file()
    assert len(heard.scores) == bool(config.validation)


def _training(recipe: Recipe) -> TrainConfig:
    return training_of(recipe, recipe.architecture)
