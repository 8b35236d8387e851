"""Every recipe trains: its table [train] can be had, its data are there, and its loss falls."""

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch
from smoke import slow_but
from typer.testing import CliRunner

from unmix.audio import read_audio
from unmix.cli import app
from unmix.data import STEMS, RandomMixtures, find_tracks, open_corpus
from unmix.models import build, config_type
from unmix.recipes.reading import recipes
from unmix.training.config import Recipe, TrainConfig, read_recipe, training_of
from unmix.training.objective import Objective
from unmix.training.optimisation import build_optimizer, learning_rate_factor

Log = Callable[..., Any]
#: Folders for data that nobody has but whoever trains the recipe.
OWN = ("five-stems", "bands")
#: Recordings to train on, where they are.
RECORDED = Path(__file__).parents[2].parent / "shared" / "data"
#: Hz, of tones and of what recordings become.
RATE = 8000
STEPS = 200 if RECORDED.is_dir() else 30
#: Hz of the sine that a stem is.
PITCHES = {"vocals": 440, "drums": 150, "bass": 60, "other": 900, "piano": 650}
PITCHES["accompaniment"] = 200


def _of_each_kind() -> list[str]:
    """Return one recipe for each architecture, optimizer and set of terms in the loss."""
    found: dict[object, str] = {}
    for name, path in sorted(recipes().items()):
        recipe = read_recipe(path)
        config = _training(recipe)
        terms = {term for term, weight in config.loss if isinstance(weight, float) and weight}
        kind = (recipe.architecture, config.optimizer, bool(config.semi_supervised), *sorted(terms))
        found.setdefault(kind, name)
    return list(found.values())


def _training(recipe: Recipe) -> TrainConfig:
    return training_of(recipe, recipe.architecture)


@pytest.fixture(params=slow_but(_of_each_kind(), sorted(recipes())))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(recipes()[request.param])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that recipes name, with hardly anything in them: tones, or music."""
    data = tmp_path_factory.mktemp("data")
    four = ("vocals", "drums", "bass", "other")
    for split in ("train", "dev"):
        _song(data / "musdb18-7" / split / "one", four)
        _song(data / OWN[0] / split / "one", (*four, "piano"))
    _song(data / OWN[1] / "one", four)
    for singer in ("amy", "abjones"):
        _song(data / "mir1k" / singer / f"{singer}_1_01", ("vocals", "accompaniment"))
    for source in ("gtsinger", "m4singer", "neuralsvb", "opensinger"):
        _song(data / "singing" / source, ("vocals",))
    _song(data / "instrumental" / "tuxemon", ("accompaniment",))
    if RECORDED.is_dir():
        _replace(data)
    return data


def _song(folder: Path, stems: tuple[str, ...]) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for stem in stems:
        samples = 0.2 * np.sin(2 * np.pi * PITCHES[stem] * np.arange(RATE) / RATE)
        samples += 0.001 * random.standard_normal(RATE)
        soundfile.write(folder / f"{stem}.wav", samples, RATE)


def _replace(data: Path) -> None:
    """Put recordings in place of tones, at the rate of the small models, so that nothing waits."""
    for folder in ("musdb18-7/train", "musdb18-7/dev", "mir1k/amy", "mir1k/abjones"):
        rmtree(data / folder)
        for track in find_tracks(RECORDED / folder, STEMS)[: 1 if "dev" in folder else 4]:
            for stem, audio in track.stems.items():
                _transcode(audio.path, data / folder / track.name / f"{stem}.wav")
    for folder in (*(data / "singing").iterdir(), data / "instrumental" / "tuxemon"):
        rmtree(folder)
        for path in sorted((RECORDED / folder.relative_to(data)).iterdir())[:2]:
            _transcode(path, folder / f"{path.stem}.wav")


def _transcode(source: Path, target: Path) -> None:
    samples, rate = read_audio(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(target, soxr.resample(samples.T, rate, RATE), RATE)


def test_says_how_to_train_it(recipe: Recipe) -> None:
    """The table is valid, and optimizer, learning rate and losses can be made of it."""
    config = _training(recipe)
    model = build(recipe.architecture, recipe.model | recipe.smoke)
    assert build_optimizer(model.parameters(), config).param_groups[0]["lr"] > 0
    Objective(model, config.loss, torch.device("cpu"))
    steps = range(0, config.steps, config.steps // 100)
    factors = [learning_rate_factor(step, config) for step in steps]
    assert 0 < min(factors) <= max(factors) <= 1


def test_its_corpora_are_where_the_data_is_documented(recipe: Recipe, shared: Path) -> None:
    """And hold the stems that the model is trained on."""
    config = _training(recipe)
    data, stems = shared / "data", config_type(recipe.architecture)(**recipe.model).stems
    unpaired = config.semi_supervised.corpora if config.semi_supervised else ()
    folders = [*config.validation, *(corpus.path for corpus in (*config.corpora, *unpaired))]
    if any(folder.startswith(OWN) for folder in folders):
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


@pytest.mark.parametrize("name", slow_but(_of_each_kind(), sorted(recipes())))
def test_it_trains(name: str, data: Path, tmp_path: Path, log: Log, smoke: None) -> None:
    """By one command, two steps: its own corpora and mixtures, losses, optimizer, validation."""
    heard = log()
    _train(name, data, tmp_path, heard, steps=2)
    assert len(heard.losses) == 2
    assert np.isfinite(heard.losses).all()
    assert len(heard.scores) == bool(training_of(_smoke(recipes()[name]), name).validation)


@pytest.mark.slow
@pytest.mark.parametrize("name", _of_each_kind())
def test_its_loss_falls_at_smoke_size(
    name: str, data: Path, tmp_path: Path, log: Log, smoke: None
) -> None:
    """One recipe of each architecture, optimizer and kind of loss.

    Only lengths and learning rate are those of a network that is small and has no time; and a soft
    item counts as much as a loud one, or their levels would hide what is learnt.
    """
    heard = log()
    # Critics take their time.
    steps = STEPS if training_of(read_recipe(recipes()[name]), name).semi_supervised is None else 30
    _train(name, data, tmp_path, heard, steps)
    assert len(heard.losses) == steps
    begin, end = heard.losses[: steps // 8 + 4], heard.losses[-(steps // 4) :]
    assert np.mean(end) < 0.95 * np.mean(begin)


@pytest.fixture
def smoke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmix.training.config.read_recipe", _smoke)


def _train(name: str, data: Path, out: Path, heard: Any, steps: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unmix.training.logs.CsvLog", lambda _: heard)
        options = ("--steps", steps, "--batch-size", 2, "--workers", 0, "--device", "cpu")
        command = ("train", name, "--data", data, "--out", out, *options)
        outcome = CliRunner().invoke(app, [str(word) for word in command])
    assert outcome.exit_code == 0, outcome.output
    assert (out / "last.ckpt").is_file()


def _smoke(path: Path) -> Recipe:
    """Return a recipe of the smallest model that runs every line, at the data's sample rate."""
    recipe = read_recipe(path)
    loss = _training(recipe).loss.model_copy(update={"relative": True})
    small = {"accumulate": 1, "warmup": 5, "learning_rate": 5e-3, "excerpt": 2000, "loss": loss}
    return recipe.model_copy(
        update={
            "model": recipe.model | recipe.smoke | {"sample_rate": RATE},
            "train": _training(recipe).model_copy(update=small),
        }
    )
