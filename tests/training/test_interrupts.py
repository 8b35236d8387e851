"""A run interrupted anywhere resumes to the same bits and keeps its best checkpoint."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unmix.errors import UnmixError
from unmix.training import setup as preparation
from unmix.training.average import MovingAverage
from unmix.training.checkpoint import load_checkpoint, save_checkpoint
from unmix.training.loop import train
from unmix.training.run import Run

MakeRun = Callable[..., Run]
Log = Callable[..., Any]
Same = Callable[[Path, Path], None]


def _rising() -> Callable[[object], dict[str, float]]:
    scores = iter(range(100))
    return lambda model: {"vocals": float(next(scores))}


@pytest.mark.parametrize("place", ["limit_gradients", "fault"])
@pytest.mark.parametrize("skips", [0, 1])
def test_an_interruption_within_a_step_leaves_the_statistics_as_they_were(
    same_bits: Same,
    make_run: MakeRun,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    skips: int,
) -> None:
    """For a model with dropout and batch norm, whose statistics a forward pass changes."""
    settings = {"model": {"dropout": 0.3}, "skips": skips, "accumulate": 2, "steps": 8}
    whole = train(make_run("whole", **settings), log())
    run, calls = make_run("cut", **settings), []
    original = getattr(preparation, place)

    def interrupted(*arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(preparation, place, interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(run, log())
    held = load_checkpoint(run.last)
    assert held["step"] == 4
    assert any("running" in name for name in held["model"])
    same_bits(train(replace(run, resume=True), log()), whole)


def test_a_signal_that_ends_the_process_loses_no_step(
    same_bits: Same, make_run: MakeRun, log: Log
) -> None:
    class Ended(log):  # type: ignore[misc, valid-type]
        def step(self, step: int, *others: float) -> None:
            if step == 7:
                raise SystemExit(143)

    run = make_run(steps=12)
    with pytest.raises(SystemExit):
        train(run, Ended())
    assert load_checkpoint(run.last)["step"] == 7
    same_bits(train(replace(run, resume=True), log()), train(make_run("whole", steps=12), log()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_amid_the_optimizers_step_waits_for_its_end(
    same_bits: Same,
    make_run: MakeRun,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    """Half-updated weights are useless; several signals may arrive during one step."""
    update = MovingAverage.update

    def signalled(self: MovingAverage, model: Any) -> None:
        if self.updates == 4:
            signal.raise_signal(number)
        update(self, model)

    before = signal.signal(number, signal.default_int_handler)
    run = make_run(steps=8)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(MovingAverage, "update", signalled)
            with pytest.raises(KeyboardInterrupt):
                train(run, log())
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert load_checkpoint(run.last)["step"] == 5
    same_bits(train(replace(run, resume=True), log()), train(make_run("whole", steps=8), log()))


def test_the_best_is_kept_before_anybody_is_told(make_run: MakeRun, log: Log) -> None:
    class Impatient(log):  # type: ignore[misc, valid-type]
        def validated(self, step: int, scores: dict[str, float]) -> None:
            raise KeyboardInterrupt

    run = make_run(validate_every=4)
    with pytest.raises(KeyboardInterrupt):
        train(run, Impatient(), _rising())
    assert load_checkpoint(run.best)["step"] == load_checkpoint(run.last)["step"] == 4


def test_a_best_that_could_not_be_kept_is_scored_again(
    make_run: MakeRun, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(validate_every=4, steps=6)

    def interrupted(path: Path, state: dict[str, Any]) -> None:
        if path == run.best:
            raise KeyboardInterrupt
        save_checkpoint(path, state)

    with monkeypatch.context() as patch:
        patch.setattr("unmix.training.checkpoint.save_checkpoint", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(run, log(), lambda model: {"vocals": 1.0})
    assert not run.best.exists()
    train(replace(run, resume=True), log(), lambda model: {"vocals": 1.0})
    assert load_checkpoint(run.best)["step"] == 4


@pytest.mark.parametrize(("minutes", "step"), [(1e-9, 4), (1000, 12)])
def test_a_validation_that_fails_loses_no_step(
    same_bits: Same, make_run: MakeRun, log: Log, minutes: float, step: int
) -> None:
    """A checkpoint that is due is written before validation."""
    calls = []

    def failing(model: object) -> dict[str, float]:
        calls.append(None)
        if len(calls) == step // 4:
            raise UnmixError("no track")
        return {"vocals": 0.0}

    run = make_run(validate_every=4, steps=12, checkpoint_minutes=minutes)
    with pytest.raises(UnmixError, match="no track"):
        train(run, log(), failing)
    held = load_checkpoint(run.last)
    assert (held["step"], held["validated"][0]) == (step, step - 4)
    same_bits(
        train(replace(run, resume=True), log(), _rising()),
        train(make_run("whole", validate_every=4, steps=12), log(), _rising()),
    )
