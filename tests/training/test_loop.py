"""Training of small models: the loss falls, and a resumed run loses nothing."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unmix.errors import ConfigError, UnmixError
from unmix.recipes.reading import find_recipe
from unmix.training.checkpoint import load_checkpoint, save_checkpoint
from unmix.training.config import read_recipe, training_of
from unmix.training.loop import train
from unmix.training.optimisation import learning_rate_factor
from unmix.training.run import Run
from unmix.training.validation import TrackValidator
from unmix.weights.load import load_model

MakeRun = Callable[..., Run]
Log = Callable[..., Any]
Same = Callable[[Path, Path], None]


def _songs(run: Run) -> TrackValidator:
    return TrackValidator([run.data / "songs"])


def test_the_loss_falls_and_the_result_separates(make_run: MakeRun, log: Log) -> None:
    run = make_run(steps=120, ema=0.9, learning_rate=5e-3, validate_every=60)
    heard = log()
    last = train(run, heard, _songs(run))
    assert len(heard.losses) == 120
    assert np.mean(heard.losses[-20:]) < 0.6 * np.mean(heard.losses[:20])
    assert len(heard.scores) == 2
    assert heard.scores[-1]["vocals"] > 6  # the mixture itself has about -5
    for checkpoint in (last, run.best):
        assert load_model(checkpoint).stems == ("vocals",)


def test_memory_that_does_not_suffice_is_a_sentence_and_the_checkpoint_stands(
    make_run: MakeRun, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(steps=2)
    train(run, log())
    kept = run.last.read_bytes()

    def fail(*_: object) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("unmix.training.loop._step", fail)
    with pytest.raises(UnmixError, match=r"out of memory.*train.batch_size.*--resume goes on"):
        train(make_run(steps=4, resume=True), log())
    assert run.last.read_bytes() == kept


def test_a_share_of_the_weights_it_starts_from_is_in_what_it_leaves(
    make_run: MakeRun, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    first = train(make_run("first", steps=3), log())

    def averaged(out: str, steps: int = 4, init: Path | None = first, **changes: Any) -> Any:
        recipe = {"schedule": {"kind": "constant"}, "ema": 0.5, "start_share": 0.4} | changes
        run = make_run(
            out, steps=steps, init=str(init) if init else None, resume=init is None, **recipe
        )
        return load_checkpoint(train(run, log()))["average"]

    start, plain = load_checkpoint(first)["average"], averaged("plain", start_share=0.0)
    kept = averaged("kept")
    averaged("cut", steps=2)
    cut = averaged("cut", init=None)  # what it started from is in the checkpoint
    assert not caplog.records
    for name, value in plain.items():
        assert torch.equal(cut[name], kept[name])
        if value.is_floating_point():
            torch.testing.assert_close(kept[name], value.lerp(start[name], 0.4))
    train(make_run("random", steps=1, start_share=0.4), log())
    assert "start_share keeps a share of the initial weights" in caplog.text


@pytest.mark.parametrize("stems", [["vocals"], ["accompaniment", "vocals"]])
def test_a_model_of_samples_trains_too(make_run: MakeRun, log: Log, stems: list[str]) -> None:
    """A model with context, which returns fewer samples than it gets."""
    model = {"stems": stems, "difference_output": len(stems) > 1}
    settings = {"steps": 60, "learning_rate": 3e-3, "validate_every": 60, "ema": 0.9}
    run, heard = make_run(architecture="wave-unet", model=model, **settings), log()
    last = train(run, heard, _songs(run))
    assert np.mean(heard.losses[-10:]) < 0.8 * np.mean(heard.losses[:10])
    assert load_model(last).context > 0


@pytest.mark.parametrize(
    "stems",
    [
        pytest.param(["drums"], marks=pytest.mark.slow),
        pytest.param(["vocals", "drums"], marks=pytest.mark.slow),
        ["vocals", "drums", "bass", "other"],
        ["bass", "vocals"],
    ],
)
def test_any_stems_can_be_trained(make_run: MakeRun, log: Log, stems: list[str]) -> None:
    settings = {"steps": 60, "ema": 0.9, "learning_rate": 5e-3, "validate_every": 60}
    run, heard = make_run(model={"stems": stems}, **settings), log()
    last = train(run, heard, _songs(run))
    assert np.mean(heard.losses[-10:]) < 0.8 * np.mean(heard.losses[:10])
    assert set(heard.scores[-1]) >= set(stems)
    assert load_model(last).stems == tuple(stems)


@pytest.mark.parametrize(
    "loss",
    [
        {"magnitude": 0, "waveform": 1},
        {"magnitude": 0, "waveform_squared": 1, "relative": False},
        {"magnitude": 0, "multi_resolution": 1, "resolutions": [64, 256]},
        {"complex": 0.5, "stem_weights": {"vocals": 3, "accompaniment": 0.5}},
        {"accompaniment": False},
    ],
)
@pytest.mark.parametrize(
    "architecture", ["unet", pytest.param("wave-unet", marks=pytest.mark.slow)]
)
def test_every_loss_falls(
    make_run: MakeRun, log: Log, architecture: str, loss: dict[str, Any]
) -> None:
    model = {"difference_output": False, "stems": ["vocals"]} if architecture[0] == "w" else {}
    settings = {"steps": 60, "ema": 0, "learning_rate": 4e-3, "loss": loss}
    run, heard = make_run(architecture=architecture, model=model, **settings), log()
    train(run, heard)
    assert np.mean(heard.losses[-15:]) < 0.85 * np.mean(heard.losses[:15])


def test_weights_of_stems_that_are_not_there_are_refused(make_run: MakeRun, log: Log) -> None:
    with pytest.raises(ConfigError, match=r"names piano; choose from vocals, accompaniment$"):
        train(make_run(loss={"stem_weights": {"piano": 2}}), log())
    both = {"stems": ["accompaniment", "vocals"]}
    with pytest.raises(ConfigError, match=r"names residual; choose from accompaniment, vocals$"):
        train(make_run(model=both, loss={"stem_weights": {"residual": 2}}), log())
    unheard = {"accompaniment": False, "stem_weights": {"accompaniment": 2}}
    with pytest.raises(ConfigError, match=r"names accompaniment; choose from vocals$"):
        train(make_run(loss=unheard), log())


def test_two_runs_of_one_seed_are_one_run(make_run: MakeRun, log: Log) -> None:
    heard = [log(), log(), log()]
    train(make_run("a"), heard[0])
    train(make_run("b"), heard[1])
    train(make_run("c", seed=1), heard[2])
    assert heard[0].losses == heard[1].losses != heard[2].losses


def test_validating_changes_nothing(make_run: MakeRun, log: Log) -> None:
    plain, validated = log(), log()
    train(make_run("a"), plain)
    run = make_run("b")
    train(run, validated, _songs(run))
    assert len(validated.scores) == 3
    assert plain.losses == validated.losses


def test_accumulated_batches_are_one_large_batch(make_run: MakeRun, log: Log) -> None:
    """For a model without batch norm."""
    heard = [log(), log()]
    settings = {"architecture": "wave-unet", "steps": 8}
    whole = train(make_run("whole", batch_size=4, **settings), heard[0])
    parts = train(make_run("parts", batch_size=1, accumulate=4, **settings), heard[1])
    assert heard[1].losses == pytest.approx(heard[0].losses, rel=1e-4)
    ours, theirs = load_checkpoint(parts)["model"], load_checkpoint(whole)["model"]
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-4)


class _Falling:
    """A validator whose scores fall after the first."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, model: object) -> dict[str, float]:
        self.calls += 1
        return {"vocals": -float(self.calls)}


def test_a_run_without_progress_ends_early(make_run: MakeRun, log: Log) -> None:
    run, heard = make_run(validate_every=2, patience=3), log()
    last = train(run, heard, _Falling())
    assert len(heard.losses) == 8  # the first score is the best, three follow
    assert load_checkpoint(last)["step"] == 8
    assert load_checkpoint(run.best)["step"] == 2
    again = log()
    train(replace(run, resume=True), again, _Falling())
    assert again.losses == []
    with pytest.raises(ConfigError, match=r"train\.validation"):
        train(make_run("blind", patience=3), log())


def test_a_step_is_told_with_the_rate_that_it_had(make_run: MakeRun, log: Log) -> None:
    run, heard = make_run(steps=12, warmup=4), log()
    train(run, heard)
    rates = [1e-3 * learning_rate_factor(step, run.train) for step in range(12)]
    assert heard.rates == pytest.approx(rates)
    assert rates[0] < rates[5] > rates[-1] > 0


def test_a_plateau_lowers_the_rate(make_run: MakeRun, log: Log) -> None:
    schedule = {"kind": "plateau", "patience": 2, "factor": 0.1}
    heard = log()
    train(make_run(steps=12, warmup=0, validate_every=2, schedule=schedule), heard, _Falling())
    assert heard.rates[:6] == [1e-3] * 6
    assert heard.rates[6:10] == pytest.approx([1e-4] * 4)
    assert heard.rates[10:] == pytest.approx([1e-5] * 2)


@pytest.mark.slow
def test_workers_deliver_the_same_items(make_run: MakeRun, log: Log) -> None:
    alone, many = log(), log()
    train(make_run("a", steps=6), alone)
    train(replace(make_run("b", steps=6), workers=2), many)
    assert alone.losses == many.losses


def test_a_run_is_not_overwritten_unasked(make_run: MakeRun, log: Log) -> None:
    train(make_run(steps=1, warmup=0), log())
    with pytest.raises(UnmixError, match="--resume"):
        train(make_run(), log())
    with pytest.raises(UnmixError, match="no checkpoint to resume from"):
        train(make_run("other", resume=True), log())


def test_a_checkpoint_is_whole_or_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"step": 1})
    monkeypatch.setattr(torch, "save", _full_disk)
    with pytest.raises(UnmixError, match="disk full"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_below_a_file_is_refused_at_once(make_run: MakeRun, log: Log, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    heard = log()
    with pytest.raises(
        UnmixError, match=r"the folder cannot be created, because .*file is a file$"
    ):
        train(make_run("file/run"), heard)
    assert heard.losses == []
    with pytest.raises(UnmixError, match="cannot write the checkpoint"):
        save_checkpoint(tmp_path / "file" / "run" / "last.ckpt", {})


def test_a_full_disk_ends_a_run_that_can_go_on(
    same_bits: Same, make_run: MakeRun, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(make_run("whole", steps=12), log())
    run = make_run(steps=12, checkpoint_minutes=1e-9)
    with monkeypatch.context() as patch:
        save, saved = torch.save, []

        def fill(state: object, path: Path) -> None:
            saved.append(path)
            (save if len(saved) <= 5 else _full_disk)(state, path)

        patch.setattr(torch, "save", fill)
        with pytest.raises(UnmixError, match="disk full"):
            train(run, log())
    assert load_checkpoint(run.last)["step"] == 5
    assert [path.name for path in run.out.iterdir()] == ["last.ckpt"]
    same_bits(train(replace(run, resume=True), log()), whole)


def _full_disk(state: object, path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_run_can_start_from_another_models_weights(make_run: MakeRun, log: Log) -> None:
    trained = train(make_run("first", ema=0.0), log())
    still = {"steps": 1, "learning_rate": 1e-12, "warmup": 0, "weight_decay": 0.0}
    second = train(make_run("second", init=str(trained), **still), log())
    before, after = load_checkpoint(trained)["average"], load_checkpoint(second)["model"]
    for name, value in before.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(after[name], value, atol=1e-6, rtol=0)
    wider = make_run("third", model={"width": 8}, init=str(trained), **still)
    with pytest.raises(UnmixError, match=r"first.*do not fit the recipe: .*; give --init"):
        train(wider, log())


def test_a_damaged_checkpoint_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"nothing")
    with pytest.raises(UnmixError, match="not a training checkpoint"):
        load_checkpoint(path)


def test_a_checkpoint_of_another_recipe_is_a_sentence(make_run: MakeRun, log: Log) -> None:
    run = make_run(steps=1)
    last = train(run, log())
    wider = make_run(model={"width": 8}, resume=True)
    with pytest.raises(
        UnmixError, match=r"with another recipe: model\.width differs; .* --init .*"
    ):
        train(wider, log())
    state = load_checkpoint(last)
    del state["skipped"]
    save_checkpoint(last, state)
    with pytest.raises(UnmixError, match=r"from another recipe or version .* --init .*last\.ckpt"):
        train(replace(run, resume=True), log())


def test_recipes_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert find_recipe("unet").name == "unet.toml"
    assert find_recipe("my/own.toml") == Path("my/own.toml")
    with pytest.raises(ConfigError, match=r"choose from .*unet"):
        find_recipe("none")
    untrained = tmp_path / "a.toml"
    untrained.write_text('architecture = "unet"')
    with pytest.raises(ConfigError, match=r"no table \[train\]"):
        training_of(read_recipe(untrained), str(untrained))
    recipe = read_recipe(find_recipe("unet"))
    assert training_of(recipe, "unet", steps=7) == recipe.train.model_copy(update={"steps": 7})
    for changes in ({"steps": 0}, {"seed": -1}, {"seed": 2**32}):
        with pytest.raises(ConfigError, match=f"unet: {next(iter(changes))}: "):
            training_of(recipe, "unet", **changes)
