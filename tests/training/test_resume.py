"""An interrupted run continues as if it had not been interrupted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unmix.training.checkpoint import load_checkpoint
from unmix.training.loop import train
from unmix.training.run import Run
from unmix.training.validation import TrackValidator

MakeRun = Callable[..., Run]
Log = Callable[..., Any]
Same = Callable[[Path, Path], None]


@pytest.mark.parametrize("minutes", [1e-9, 1000])
def test_a_run_that_was_cut_goes_on_to_the_same_bits(
    same_bits: Same, make_run: MakeRun, log: Log, minutes: float
) -> None:
    """For a recipe with all kinds of state: accumulation, a plateau, early stopping."""
    settings = {
        "accumulate": 2,
        "optimizer": "adam",
        "amsgrad": True,
        "schedule": {"kind": "plateau", "patience": 1},
        "patience": 20,
        "validate_every": 3,
        "steps": 20,
    }
    validate = TrackValidator([make_run().data / "songs"])
    whole = train(make_run("whole", **settings), log(), validate)
    cut = make_run("cut", checkpoint_minutes=minutes, **settings)
    with pytest.raises(KeyboardInterrupt):
        train(cut, log(stop_at=13), validate)
    held = load_checkpoint(cut.last)
    assert held["step"] in (12, 13)
    last = train(replace(cut, resume=True), log(), validate)
    same_bits(last, whole)
    assert load_checkpoint(last)["seconds"] > held["seconds"] > 0  # of both runs together


def test_a_validation_that_was_cut_is_done_again(
    same_bits: Same, make_run: MakeRun, log: Log
) -> None:
    schedule = {"kind": "plateau", "patience": 1, "factor": 0.1}
    settings = {"validate_every": 4, "steps": 16, "schedule": schedule}

    def falling(model: object, scores: list[float], cut: bool = False) -> dict[str, float]:
        if cut and len(scores) == 1:
            raise KeyboardInterrupt
        scores.append(0.0)
        return {"vocals": -float(len(scores))}

    scores: list[float] = []
    whole = train(make_run("whole", **settings), log(), lambda model: falling(model, scores))
    run, again = make_run("cut", **settings), scores[:0]
    with pytest.raises(KeyboardInterrupt):
        train(run, log(), lambda model: falling(model, again, cut=True))
    assert load_checkpoint(run.last)["step"] == 8
    heard = log()
    same_bits(train(replace(run, resume=True), heard, lambda model: falling(model, again)), whole)
    assert len(again) == len(scores) == 4
    assert len(heard.losses) == 8


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_a_run_that_was_killed_goes_on_to_the_same_bits(
    same_bits: Same, make_run: MakeRun, log: Log, tmp_path: Path, program: str
) -> None:
    endless = {"checkpoint_minutes": 1e-9, "schedule": {"kind": "constant"}}
    cut = make_run("cut", steps=10**9, **endless)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(cut.recipe.model_dump_json())
    command = [sys.executable, "-c", program, str(recipe), str(cut.data), str(cut.out)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        _wait_for(cut.last, process)
        time.sleep(0.5)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    # The rate does not follow from the number of steps: such a run may end earlier.
    steps = load_checkpoint(cut.last)["step"] + 10
    whole = train(make_run("whole", steps=steps, **endless), log())
    same_bits(train(make_run("cut", steps=steps, resume=True, **endless), log()), whole)
    assert not list(cut.out.glob(".*.ckpt*"))  # what was half written has been written over


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, "the run ended without a checkpoint"
        assert time.monotonic() < until
        time.sleep(0.02)
