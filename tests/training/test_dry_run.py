"""A dry run measures what a run takes, and writes nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from unmix.training.checkpoint import load_checkpoint
from unmix.training.dry_run import dry_run, run_seconds
from unmix.training.loop import train
from unmix.training.run import Run

MakeRun = Callable[..., Run]
Log = Callable[..., Any]


def test_a_dry_run_tells_what_the_run_then_has(make_run: MakeRun, log: Log, tmp_path: Path) -> None:
    run, heard = make_run(steps=1, accumulate=2, model={"width": 32, "depth": 3}), log()
    found = dry_run(run)
    assert list(tmp_path.iterdir()) == []
    last = train(run, heard)
    assert found.loss == heard.losses[0]
    state = load_checkpoint(last)
    assert found.parameters == sum(
        value.numel()
        for name, value in state["model"].items()
        if "running" not in name and "num_batches" not in name
    )
    assert found.checkpoint_bytes == pytest.approx(last.stat().st_size, rel=0.05)
    assert found.memory_bytes > 50 * 2**20
    assert (found.architecture, found.stems, found.device) == ("unet", ("vocals",), "cpu")
    assert dry_run(run).parameters == found.parameters  # a run that is there does not matter


def test_the_time_of_a_run_is_that_of_the_slower_part(make_run: MakeRun) -> None:
    run = make_run(steps=100, batch_size=4, accumulate=2)
    found = replace(dry_run(run, steps=1), step_seconds=1.0, item_seconds=0.5)
    assert run_seconds(found, run) == 100 * (1 + 8 * 0.5)  # one after the other
    assert run_seconds(found, replace(run, workers=2)) == 100 * 8 * 0.5 / 2
    assert run_seconds(found, replace(run, workers=8)) == 100 * 1.0


def test_compiling_is_asked_for_by_flag(
    make_run: MakeRun, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a compiler that changes nothing, the weights are the same, and so are their names."""
    plain = train(make_run("plain", steps=3), log())
    compiled = []

    def same(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        compiled.append(graph)
        return graph.forward

    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module, **_: compile_(module, backend=same))
    last = train(make_run("compiled", steps=3, compile=True), log())
    assert compiled
    first, second = load_checkpoint(plain)["model"], load_checkpoint(last)["model"]
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-4, atol=1e-6)
