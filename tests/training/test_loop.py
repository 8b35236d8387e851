"""Training, at its smallest: the loss falls, and a run that was cut goes on as if it never was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from unmix.config import validate
from unmix.errors import ConfigError, UnmixError
from unmix.recipes import find_recipe, recipes
from unmix.training.checkpoint import load_checkpoint, save_checkpoint
from unmix.training.config import Recipe, TrainConfig, read_recipe, training_of
from unmix.training.loop import Run, learning_rate_factor, train
from unmix.training.validation import TrackValidator
from unmix.weights import load_model

MODEL = {
    "sample_rate": 8000,
    "n_fft": 128,
    "hop_length": 32,
    "frames": 32,
    "width": 4,
    "depth": 2,
}
TRAIN = {
    "steps": 30,
    "batch_size": 2,
    "warmup": 5,
    "precision": "32-true",
    "validate_every": 10,
    "checkpoint_minutes": 1000,
    "corpora": [{"path": "songs", "vocals": 1, "accompaniment": 1, "coherent": 1}],
}


class Log:
    """Remembers what the loop says; stops it after some steps where told to."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.losses: list[float] = []
        self.scores: list[dict[str, float]] = []
        self.stop_at = stop_at

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        self.losses.append(loss)
        if step == self.stop_at:
            raise KeyboardInterrupt

    def validated(self, step: int, scores: dict[str, float]) -> None:
        self.scores.append(scores)

    def saved(self, path: Path) -> None:
        assert path.is_file()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for song in range(2):
        folder = tmp_path / "data" / "songs" / str(song)
        folder.mkdir(parents=True)
        for stem, frequency in (("vocals", 440), ("drums", 150), ("bass", 60), ("other", 900)):
            samples = 0.2 * np.sin(2 * np.pi * frequency * np.arange(16000) / 8000)
            samples += 0.001 * random.standard_normal(16000)
            soundfile.write(folder / f"{stem}.wav", samples, 8000)
    return tmp_path / "data"


def _run(data: Path, out: Path, *, resume: bool = False, **changes: Any) -> Run:
    recipe = validate(
        Recipe, {"architecture": "unet", "model": MODEL, "train": TRAIN | changes}, "test"
    )
    config = training_of(recipe, "test")
    return Run(
        recipe=recipe, train=config, data=data, out=out, workers=0, device="cpu", resume=resume
    )


def test_the_loss_falls_and_the_result_separates(data: Path, tmp_path: Path) -> None:
    log = Log()
    run = _run(data, tmp_path / "out", steps=120, ema=0.9, learning_rate=5e-3, validate_every=60)
    last = train(run, log, TrackValidator([data / "songs"]))
    assert len(log.losses) == 120
    assert np.mean(log.losses[-20:]) < 0.6 * np.mean(log.losses[:20])
    assert len(log.scores) == 2
    assert log.scores[-1]["vocals"] > 6  # the mixture itself has about -5
    for checkpoint in (last, run.best):
        assert load_model(checkpoint).stems == ("vocals",)


@pytest.mark.parametrize("stems", [["vocals"], ["accompaniment", "vocals"]])
def test_a_model_of_samples_trains_too(data: Path, tmp_path: Path, stems: list[str]) -> None:
    """One that consumes context and returns less than it is given."""
    small = {"depth": 3, "width": 8, "valid": True, "output_samples": 2000}
    model = {"sample_rate": 8000, "audio_channels": 1, "stems": stems} | small
    model["difference_output"] = len(stems) > 1
    changes = {"steps": 60, "learning_rate": 3e-3, "validate_every": 60, "ema": 0.9}
    table = {"architecture": "wave-unet", "model": model, "train": TRAIN | changes}
    recipe = validate(Recipe, table, "test")
    config = training_of(recipe, "test")
    out, log = tmp_path / "out", Log()
    run = Run(recipe=recipe, train=config, data=data, out=out, workers=0, device="cpu")
    last = train(run, log, TrackValidator([data / "songs"]))
    assert np.mean(log.losses[-10:]) < 0.8 * np.mean(log.losses[:10])
    assert load_model(last).context > 0


def test_other_stems_are_refused_for_now(data: Path, tmp_path: Path) -> None:
    table = {"architecture": "unet", "model": MODEL | {"stems": ["drums"]}, "train": TRAIN}
    recipe = validate(Recipe, table, "test")
    run = Run(recipe=recipe, train=training_of(recipe, "test"), data=data, out=tmp_path / "out")
    with pytest.raises(ConfigError, match="only vocals and accompaniment can be trained yet"):
        train(run, Log())


def test_a_run_that_was_cut_goes_on_to_the_same_bits(data: Path, tmp_path: Path) -> None:
    whole = train(_run(data, tmp_path / "whole"), Log())
    cut = _run(data, tmp_path / "cut", checkpoint_minutes=1e-9)
    with pytest.raises(KeyboardInterrupt):
        train(cut, Log(stop_at=13))
    resumed = train(_run(data, tmp_path / "cut", resume=True), Log())
    a, b = load_checkpoint(whole), load_checkpoint(resumed)
    assert a["step"] == b["step"] == 30
    for part in ("model", "average"):
        for name, value in a[part].items():
            assert torch.equal(value, b[part][name]), name


def test_two_runs_of_one_seed_are_one_run(data: Path, tmp_path: Path) -> None:
    logs = [Log(), Log(), Log()]
    train(_run(data, tmp_path / "a"), logs[0])
    train(_run(data, tmp_path / "b"), logs[1])
    train(_run(data, tmp_path / "c", seed=1), logs[2])
    assert logs[0].losses == logs[1].losses != logs[2].losses


def test_an_interrupted_run_has_saved_its_last_step(data: Path, tmp_path: Path) -> None:
    run = _run(data, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        train(run, Log(stop_at=7))
    assert load_checkpoint(run.last)["step"] == 7
    resumed = train(_run(data, tmp_path / "out", resume=True), Log())
    whole = train(_run(data, tmp_path / "whole"), Log())
    for name, value in load_checkpoint(whole)["model"].items():
        assert torch.equal(value, load_checkpoint(resumed)["model"][name]), name


def test_validating_changes_nothing(data: Path, tmp_path: Path) -> None:
    plain, validated = Log(), Log()
    train(_run(data, tmp_path / "a"), plain)
    train(_run(data, tmp_path / "b"), validated, TrackValidator([data / "songs"]))
    assert len(validated.scores) == 3
    assert plain.losses == validated.losses


@pytest.mark.slow
def test_workers_deliver_the_same_items(data: Path, tmp_path: Path) -> None:
    alone, many = Log(), Log()
    train(_run(data, tmp_path / "a", steps=6), alone)
    run = _run(data, tmp_path / "b", steps=6)
    train(Run(**{**vars(run), "workers": 2}), many)
    assert alone.losses == many.losses


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(recipes()))
def test_every_recipe_trains_at_smoke_size(name: str, data: Path, tmp_path: Path) -> None:
    recipe = read_recipe(recipes()[name])
    small = recipe.model_copy(update={"model": recipe.model | recipe.smoke})
    config = training_of(recipe, name).model_copy(
        update={
            "steps": 60,
            "warmup": 5,
            "batch_size": 2,
            "learning_rate": 5e-3,
            "excerpt": 8000,
            "corpora": _run(data, tmp_path).train.corpora,
        }
    )
    log = Log()
    train(
        Run(recipe=small, train=config, data=data, out=tmp_path / "out", workers=0, device="cpu"),
        log,
    )
    assert np.mean(log.losses[-15:]) < np.mean(log.losses[:15])


def test_the_learning_rate_rises_stays_and_falls() -> None:
    config = TrainConfig(steps=1000, warmup=100, decay_from=0.5, corpora=TRAIN["corpora"])
    factors = [learning_rate_factor(step, config) for step in range(1001)]
    assert factors[0] == 0.01
    assert factors[99:500] == [1.0] * 401
    assert factors[750] == 0.5
    assert factors[1000] == 0.0


def test_a_run_is_not_overwritten_unasked(data: Path, tmp_path: Path) -> None:
    train(_run(data, tmp_path / "out", steps=1, warmup=0), Log())
    with pytest.raises(UnmixError, match="--resume"):
        train(_run(data, tmp_path / "out"), Log())
    with pytest.raises(UnmixError, match="no checkpoint to resume from"):
        train(_run(data, tmp_path / "other", resume=True), Log())


def test_a_loss_that_is_no_number_stops_the_run(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UnmixError, match=r"the loss is (nan|inf) at step"):
        train(_run(data, tmp_path / "out", learning_rate=1e30, warmup=0), Log())


def test_a_checkpoint_is_whole_or_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"step": 1})

    def full(state: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UnmixError, match="disk full"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_can_start_from_another_models_weights(data: Path, tmp_path: Path) -> None:
    trained = train(_run(data, tmp_path / "first", ema=0.0), Log())
    still = {"steps": 1, "learning_rate": 1e-12, "warmup": 0, "weight_decay": 0.0}
    run = _run(data, tmp_path / "second", **still)
    second = train(Run(**{**vars(run), "init": str(trained)}), Log())
    before, after = load_checkpoint(trained)["average"], load_checkpoint(second)["model"]
    for name, value in before.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(after[name], value, atol=1e-6, rtol=0)
    other = _run(data, tmp_path / "third", **still)
    wider = other.recipe.model_copy(update={"model": MODEL | {"width": 8}})
    with pytest.raises(UnmixError, match="do not fit the recipe"):
        train(Run(**{**vars(other), "recipe": wider, "init": str(trained)}), Log())


def test_a_damaged_checkpoint_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"nothing")
    with pytest.raises(UnmixError, match="not a checkpoint"):
        load_checkpoint(path)


def test_recipes_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert find_recipe("unet").name == "unet.toml"
    assert find_recipe("my/own.toml") == Path("my/own.toml")
    with pytest.raises(ConfigError, match=r"choose from .*unet"):
        find_recipe("none")
    untrained = tmp_path / "a.toml"
    untrained.write_text('architecture = "unet"')
    with pytest.raises(ConfigError, match=r"no table \[train\]"):
        training_of(read_recipe(untrained), str(untrained))
