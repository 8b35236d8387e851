"""Learning rate schedules, optimizers by name, and clipped gradients."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from pydantic import ValidationError
from torch import nn

from unmix.training.config import TrainConfig
from unmix.training.muon import Muon
from unmix.training.optimisation import (
    Schedule,
    build_optimizer,
    learning_rate_factor,
    limit_gradients,
)


def _config(**settings: Any) -> TrainConfig:
    defaults = {"steps": 1000, "warmup": 100, "corpora": [{"path": "songs"}]}
    return TrainConfig(**{**defaults, **settings})


def _factors(**settings: Any) -> list[float]:
    config = _config(**settings)
    return [learning_rate_factor(step, config) for step in range(1001)]


def test_linear_rises_stays_and_falls() -> None:
    factors = _factors(decay_from=0.5)
    assert factors[0] == 0.01
    assert factors[99:500] == [1.0] * 401
    assert factors[750] == 0.5
    assert factors[1000] == 0.0


def test_constant_stays() -> None:
    assert _factors(schedule={"kind": "constant"})[100:] == [1.0] * 901


def test_a_cosine_falls_to_its_floor_once() -> None:
    factors = _factors(warmup=0, schedule={"kind": "cosine", "floor": 0.1})
    assert factors[0] == 1.0
    assert factors[500] == pytest.approx(0.55)
    assert factors[1000] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(factors))


def test_a_cosine_in_cycles_starts_anew() -> None:
    factors = _factors(warmup=0, schedule={"kind": "cosine", "every": 250, "floor": 0.05})
    assert factors[0] == factors[250] == factors[500] == 1.0
    assert factors[249] == pytest.approx(0.05, abs=1e-3)
    assert factors[:250] == factors[500:750]


def test_steps_fall_by_a_factor_after_warmup() -> None:
    """A short version of the schedule of Kong et al. (ISMIR 2021)."""
    factors = _factors(schedule={"kind": "steps", "every": 300, "factor": 0.9})
    assert factors[49] == 0.5
    assert factors[100] == factors[299] == 1.0
    assert factors[300] == 0.9
    assert factors[900] == pytest.approx(0.9**3)
    with pytest.raises(ValidationError, match="every"):
        _config(schedule={"kind": "steps"})


def test_a_plateau_falls_where_scores_do_not_rise_and_remembers() -> None:
    config = _config(
        warmup=0, learning_rate=1.0, schedule={"kind": "plateau", "patience": 2, "factor": 0.1}
    )
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    schedule = Schedule(optimizer, config)
    rates = []
    for step, better in enumerate([True, False, True, False, False, False, False]):
        schedule.to(step)
        schedule.validated(step, better)
        rates.append(schedule.learning_rate)
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01])
    schedule.validated(7, better=False)
    other = Schedule(torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0), config)
    other.load_state_dict(schedule.state_dict())
    other.to(7)
    other.validated(8, better=False)  # the second in vain
    assert other.learning_rate == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, torch.optim.AdamW),
        ({"optimizer": "adam"}, torch.optim.Adam),
        ({"optimizer": "adam", "amsgrad": True}, torch.optim.Adam),
        ({"optimizer": "rmsprop"}, torch.optim.RMSprop),
    ],
)
def test_optimizers_are_what_their_names_say(
    settings: dict[str, Any], kind: type[torch.optim.Optimizer]
) -> None:
    config = _config(learning_rate=3e-4, weight_decay=0.0, **settings)
    ours, theirs = (nn.Parameter(torch.ones(3)) for _ in range(2))
    options = {"amsgrad": True} if config.amsgrad else {}
    optimizers = [
        build_optimizer([ours], config),
        kind([theirs], lr=3e-4, weight_decay=0.0, **options),
    ]
    assert type(optimizers[0]) is kind
    for step in range(5):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = torch.tensor([1.0, -2.0, 0.5]) / (step + 1) ** 2
            optimizer.step()
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("optimizer", ["rmsprop", "muon"])
def test_amsgrad_is_adams_alone(optimizer: str) -> None:
    with pytest.raises(ValidationError, match="amsgrad"):
        _config(optimizer=optimizer, amsgrad=True)


def test_muon_is_had_by_name() -> None:
    weight = nn.Parameter(torch.ones(3, 2))
    optimizer = build_optimizer([weight], _config(optimizer="muon", learning_rate=3e-4))
    assert isinstance(optimizer, Muon)
    assert optimizer.param_groups[0]["lr"] == 3e-4
    assert optimizer.param_groups[0]["weight_decay"] == 1e-3


@pytest.mark.parametrize(("limit", "after"), [(1.0, 1.0), (0.0, 5.0), (100.0, 5.0)])
def test_gradients_are_cut_where_there_is_a_limit(limit: float, after: float) -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    layer = nn.Linear(2, 1, bias=False)
    network, optimizer = fabric.setup(layer, torch.optim.AdamW(layer.parameters()))
    fabric.backward(network(torch.tensor([[3.0, 4.0]])).sum())
    assert limit_gradients(fabric, network, optimizer, limit) == pytest.approx(5)
    assert layer.weight.grad is not None
    assert math.isclose(float(layer.weight.grad.norm()), after, rel_tol=1e-5)
