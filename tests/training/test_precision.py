"""Training in 16 bits: which parts compute in them, and which do not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from unmix.data import RandomMixtures
from unmix.training.checkpoint import load_checkpoint
from unmix.training.distributed import make_fabric
from unmix.training.loop import train
from unmix.training.run import Run
from unmix.training.setup import set_up

MakeRun = Callable[..., Run]
Log = Callable[..., Any]
TYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@pytest.mark.parametrize("architecture", ["unet", "wave-unet"])
@pytest.mark.parametrize("precision", TYPES)
def test_the_network_computes_in_the_precision_that_is_asked_for(
    make_run: MakeRun, precision: str, architecture: str
) -> None:
    """Inputs keep 32 bits, since a model may return the mixture minus its estimates."""
    run = make_run(architecture=architecture, precision=precision)
    fabric = make_fabric("cpu", run.train.precision)
    trainee = set_up(run, fabric)
    seen = []
    layer = next(m for m in trainee.state.model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d))
    layer.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    noise = torch.randn(1, trainee.state.model.audio_channels, 4000)
    given = trainee.state.model.stft(noise) if architecture == "unet" else noise
    estimates = trainee.network(given)
    assert seen[0][1].dtype == TYPES[precision]
    assert seen[0][0].dtype == torch.float32
    assert estimates.real.dtype == torch.float32


def test_bfloat16_learns(make_run: MakeRun, log: Log) -> None:
    heard = log()
    train(make_run(steps=60, learning_rate=5e-3, precision="bf16-mixed"), heard)
    assert np.mean(heard.losses[-15:]) < 0.8 * np.mean(heard.losses[:15])


def test_the_loss_scaler_goes_on_where_it_was(make_run: MakeRun, log: Log) -> None:
    settings = {"steps": 14, "precision": "16-mixed"}
    whole = load_checkpoint(train(make_run("whole", **settings), log()))
    run = make_run("cut", **settings)
    with pytest.raises(KeyboardInterrupt):
        train(run, log(stop_at=6))
    cut = load_checkpoint(run.last)["precision"]
    assert cut["_growth_tracker"] > 0 or cut["scale"] < 65536.0
    resumed = load_checkpoint(train(replace(run, resume=True), log()))
    assert resumed["precision"] == whole["precision"]
    assert all(torch.equal(value, resumed["model"][name]) for name, value in whole["model"].items())


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_the_scaler_bears_a_step_that_is_left_out(
    make_run: MakeRun, log: Log, monkeypatch: pytest.MonkeyPatch, clip_norm: float
) -> None:
    item = RandomMixtures.__getitem__

    def damaged(self: RandomMixtures, index: int) -> dict[str, torch.Tensor]:
        found = item(self, index)
        return found | {"references": found["references"] * (torch.nan if index == 4 else 1)}

    monkeypatch.setattr(RandomMixtures, "__getitem__", damaged)
    settings = {"steps": 6, "precision": "16-mixed", "skips": 1, "clip_norm": clip_norm}
    state = load_checkpoint(train(make_run(**settings), log()))
    assert state["skipped"] == [1, 0]
    assert state["precision"]["scale"] < 65536.0  # it saw the infinite gradient
    assert all(value.isfinite().all() for value in state["model"].values())
