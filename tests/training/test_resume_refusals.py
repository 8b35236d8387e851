"""A run resumes with its own recipe only; keys that its steps depend on may not change."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from unmix.errors import ConfigError, UnmixError
from unmix.training.checkpoint import load_checkpoint, save_checkpoint
from unmix.training.loop import train
from unmix.training.run import Run

MakeRun = Callable[..., Run]
Log = Callable[..., Any]
CONSTANT = {"schedule": {"kind": "constant"}}
PLATEAU = {"schedule": {"kind": "plateau"}}


def _falling(model: object) -> dict[str, float]:
    return {"vocals": 0.0}


@pytest.mark.parametrize(
    ("before", "now", "keys"),
    [
        ({}, {"weight_decay": 0.1}, "train.weight_decay differs"),
        ({}, {"batch_size": 3, "seed": 5}, "train.batch_size, train.seed differ"),
        ({}, {"loss": {"complex": 1}}, "train.loss.complex differs"),
        ({}, {"mixing": {"coherent": 0.5}}, "train.mixing.coherent differs"),
        ({}, {"corpora": [{"path": "songs", "coherent": 1}]}, "train.corpora differs"),
        ({}, {"model": {"dropout": 0.1}}, "model.dropout differs"),
        # A linear schedule falls from the middle of all steps: steps that are done had their rate.
        ({"steps": 8}, {"steps": 16}, r"train.steps \(learning rates depend on it\) differs"),
        (CONSTANT, CONSTANT | {"steps": 5}, r"train.steps \(fewer than the 6 done\) differs"),
        (PLATEAU, PLATEAU | {"validate_every": 2}, "train.validate_every differs"),
        ({"skips": 2}, {"skips": 1}, "train.skips differs"),
    ],
)
def test_another_recipe_is_refused(
    make_run: MakeRun, log: Log, before: dict[str, Any], now: dict[str, Any], keys: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(make_run(**{"steps": 20} | before), log(stop_at=6), _falling)
    held = make_run().last.read_bytes()
    with pytest.raises(UnmixError, match=f"another recipe: {keys}; resume with that recipe"):
        train(make_run(resume=True, **{"steps": 20} | now), log(), _falling)
    assert make_run().last.read_bytes() == held


def test_another_architecture_is_refused(make_run: MakeRun, log: Log) -> None:
    train(make_run(steps=1, warmup=0), log())
    other = make_run(steps=1, warmup=0, architecture="wave-unet", resume=True)
    with pytest.raises(UnmixError, match="another recipe: architecture differs"):
        train(other, log())


def test_what_decides_no_step_may_change(make_run: MakeRun, log: Log) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(make_run(), log(stop_at=6))
    changes = {"checkpoint_minutes": 7, "validate_every": 3, "patience": 50, "skips": 2}
    run = make_run(resume=True, validation=["songs"], **changes)
    again = load_checkpoint(train(run, log(), _falling))
    assert again["recipe"] == run.recipe.model_dump(mode="json")
    whole = load_checkpoint(train(make_run("whole"), log()))
    assert all(torch.equal(value, again["model"][name]) for name, value in whole["model"].items())


@pytest.mark.parametrize("schedule", [{"kind": "linear"}, {"kind": "constant"}])
def test_a_run_may_become_longer_where_its_steps_stay_the_same(
    make_run: MakeRun, log: Log, schedule: dict[str, Any]
) -> None:
    """With a linear schedule before it falls; the result equals the longer run to the bit."""
    with pytest.raises(KeyboardInterrupt):
        train(make_run(steps=12, schedule=schedule), log(stop_at=6))
    longer = make_run(steps=16, schedule=schedule, resume=True)
    again = load_checkpoint(train(longer, log()))
    whole = load_checkpoint(train(make_run("whole", steps=16, schedule=schedule), log()))
    assert again["step"] == whole["step"] == 16
    assert all(torch.equal(value, again["model"][name]) for name, value in whole["model"].items())


def test_a_score_at_an_end_that_is_none_is_not_forgotten(make_run: MakeRun, log: Log) -> None:
    """A plateau counts it, but a longer run would not have validated there."""
    train(make_run(steps=14, **PLATEAU), log(), _falling)
    with pytest.raises(UnmixError, match=r"train\.steps .* differs"):
        train(make_run(steps=30, resume=True, **PLATEAU), log(), _falling)


def test_keys_that_have_come_since_differ_from_nothing(make_run: MakeRun, log: Log) -> None:
    """A checkpoint of an earlier version lacks them, which means their defaults."""
    run = make_run()
    with pytest.raises(KeyboardInterrupt):
        train(run, log(stop_at=3))
    state = load_checkpoint(run.last)
    del state["recipe"]["train"]["augment"], state["recipe"]["train"]["schedule"]
    state["recipe"]["model"] |= {"dropout": 0.5}  # a default value, now written down
    save_checkpoint(run.last, state)
    assert load_checkpoint(train(replace(run, resume=True), log()))["step"] == 30


def test_a_run_that_goes_on_starts_from_no_other_weights(make_run: MakeRun) -> None:
    with pytest.raises(ConfigError, match="either --resume or --init somewhere"):
        make_run(resume=True, init="somewhere")


def test_a_run_may_go_on_on_fewer_devices(
    make_run: MakeRun, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(steps=4)
    with pytest.raises(KeyboardInterrupt):
        train(run, log(stop_at=2))
    state = load_checkpoint(run.last)
    state["random"] += [torch.zeros(16, dtype=torch.uint8) + number for number in range(3)]
    save_checkpoint(run.last, state)
    restored: list[tuple[int, int]] = []

    def restore(generator: torch.Tensor, device: int) -> None:
        restored.append((device, int(generator[0])))

    monkeypatch.setattr(torch.cuda, "set_rng_state", restore)
    monkeypatch.setattr("unmix.training.state._devices", lambda: 2, raising=False)
    train(replace(run, resume=True), log())
    assert restored == [(0, 0), (1, 1)]
