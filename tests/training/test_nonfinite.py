"""A loss that is not finite ends a run with a report, or its step is skipped and counted."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from unmix.data import RandomMixtures
from unmix.errors import UnmixError
from unmix.training.checkpoint import load_checkpoint
from unmix.training.loop import train
from unmix.training.run import Run

MakeRun = Callable[..., Run]
Log = Callable[..., Any]


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make some items of every stream NaN."""

    def make(*indices: int) -> None:
        item = RandomMixtures.__getitem__

        def damaged(self: RandomMixtures, index: int) -> dict[str, torch.Tensor]:
            found = item(self, index)
            return (
                found | {"references": found["references"] * math.nan}
                if index in indices
                else found
            )

        monkeypatch.setattr(RandomMixtures, "__getitem__", damaged)

    return make


def test_a_damaged_item_ends_the_run_and_is_kept(
    make_run: MakeRun, log: Log, damage: Callable[..., None]
) -> None:
    damage(9)
    run, heard = make_run(), log()
    with pytest.raises(UnmixError, match=r"the loss is nan at step 5: items 9 hold .* see .*\.pt"):
        train(run, heard)
    assert len(heard.losses) == 4
    kept = torch.load(run.out / "nonfinite.pt", weights_only=True)
    assert (kept["step"], kept["items"], kept["damaged"]) == (5, [8, 9], [9])
    assert kept["references"].shape[:3] == (2, 2, 2)
    assert kept["references"][0].isfinite().all()
    assert kept["references"][1].isnan().all()
    assert kept["band"] == [math.inf] * 2


def test_weights_that_run_away_end_the_run(make_run: MakeRun, log: Log) -> None:
    run = make_run(learning_rate=1e30, warmup=0)
    with pytest.raises(UnmixError, match=r"is (nan|inf) at step \d+: all samples are finite; low"):
        train(run, log())


def test_damaged_items_are_left_out_and_counted(
    make_run: MakeRun, log: Log, damage: Callable[..., None]
) -> None:
    damage(0, 9, 10, 30)
    run, heard = make_run(skips=2), log()
    last = train(run, heard)
    assert [step for step, loss in enumerate(heard.losses, 1) if math.isnan(loss)] == [1, 5, 6, 16]
    state = load_checkpoint(last)
    assert (state["step"], state["skipped"]) == (30, [4, 0])
    for part in ("model", "average"):  # the running statistics of its norms too
        assert all(value.isfinite().all() for value in state[part].values())


def test_too_many_in_a_row_end_the_run(
    make_run: MakeRun, log: Log, damage: Callable[..., None]
) -> None:
    damage(2, 8, 10, 12)
    heard = log()
    with pytest.raises(UnmixError, match="at step 7: items 12"):
        train(make_run(skips=2), heard)
    assert len(heard.losses) == 6


def test_a_run_that_was_cut_between_skips_goes_on_to_the_same_bits(
    make_run: MakeRun, log: Log, damage: Callable[..., None]
) -> None:
    damage(8, 10, 21)
    whole = load_checkpoint(train(make_run("whole", skips=2), log()))
    run = make_run("cut", skips=2)
    with pytest.raises(KeyboardInterrupt):
        train(run, log(stop_at=5))
    assert load_checkpoint(run.last)["skipped"] == [1, 1]
    resumed = load_checkpoint(train(replace(run, resume=True), log()))
    assert resumed["skipped"] == whole["skipped"] == [3, 0]
    assert all(torch.equal(value, resumed["model"][name]) for name, value in whole["model"].items())
