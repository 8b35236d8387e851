"""Settings that ask for any size are judged by the network's outline, which has no memory."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import nn

from unmix.errors import UnmixError
from unmix.models import Model, build, config_type
from unmix.models._outline import outline
from unmix.recipes.reading import ArchitectureChoice, find_architecture, recipes

#: One recipe of each architecture.
CHOICES = list({c.architecture: c for c in map(find_architecture, recipes())}.values())
_LARGE = ("hybrid-demucs", "resunet", "adversarial")  # seconds to build
_STRANGE = [0, 1, 3, 8, 33, 1000, 1 << 22, 10**15, -1, 0.5, float("nan"), True, None, "x"]
_LISTS = [[], [64] * 40, [10**6] * 5, {}, ["vocals", "x"], [str(rank) for rank in range(200)]]


@pytest.mark.parametrize(
    "choice",
    [
        pytest.param(c, id=c.architecture, marks=[pytest.mark.slow] * (c.architecture in _LARGE))
        for c in CHOICES
    ],
)
def test_the_outline_is_the_network_without_numbers(choice: ArchitectureChoice) -> None:
    outlines: list[Model] = []
    torch.manual_seed(0)
    model = build(choice.architecture, choice.model, check=outlines.append)
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    assert {name: v.shape for name, v in outlines[0].state_dict().items()} == shapes
    assert all(value.is_meta for value in outlines[0].parameters())
    torch.manual_seed(0)
    again = type(model)(model.config)  # the outline draws no random numbers
    assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))


@pytest.mark.parametrize(
    ("architecture", "table", "reason"),
    [
        ("unet", {"width": 1 << 20}, "more than 1,000,000,000 weights"),
        ("unet", {"width": 10**15}, "a number is larger than"),
        ("unet", {"widths": [1] * 10**6}, "a list has more than"),
        ("unet", {"depth": 10**6}, "less than or equal to 32"),
        ("unet", {"n_fft": 1 << 30}, "a number is larger than"),
        ("unet", {"frames": 1 << 22}, "its chunks have more than"),
        ("wave-unet", {"width": 1 << 22, "depth": 20}, "more than 1,000,000,000 weights"),
        ("resunet", {"blocks": 1 << 22}, "more than (5000 tensors|1,000,000,000 weights)"),
        ("modular-unet", {"stems": [str(rank) for rank in range(10**4)]}, "a list has more than"),
    ],
)
def test_what_is_larger_than_any_network_is_refused_at_once(
    architecture: str, table: dict[str, Any], reason: str
) -> None:
    began = time.monotonic()
    with pytest.raises(UnmixError, match=rf"a\.toml: .*{reason}"):
        build(architecture, table, "a.toml")
    assert time.monotonic() - began < 20


def test_a_fault_of_ours_is_not_called_one_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = type(build("unet", {}))
    made = kind.__init__

    def wrong(self: Any, config: Any) -> None:
        made(self, config)
        if not next(self.parameters()).is_meta:
            nn.Linear(1, 2)(torch.ones(3))

    monkeypatch.setattr(kind, "__init__", wrong)
    with pytest.raises(RuntimeError, match="shapes"):
        build("unet", {})


class _EnoughError(Exception):
    """Ends a building."""


def _try_any(rng: random.Random) -> None:
    """Build the outline of a recipe with some strange settings."""
    choice = rng.choice(CHOICES)
    kind = config_type(choice.architecture)
    table = dict(choice.model)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(list(kind.model_fields))
        value = rng.choice([*_STRANGE, *_LISTS])
        inner = table.get(name)
        if isinstance(inner, dict) and inner and rng.random() < 0.8:
            table[name] = inner | {rng.choice(list(inner)): value}
        else:
            table[name] = value
    with suppress(UnmixError):
        _outlined(choice.architecture, table)


def _outlined(architecture: str, table: object) -> None:
    """Build as far as the outline."""

    def stop(_: Model) -> None:
        raise _EnoughError

    with suppress(_EnoughError):
        build(architecture, table, "a.toml", stop)


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize("count", [60, pytest.param(5000, marks=pytest.mark.slow)])
def test_strange_settings_are_refused_or_fit(count: int) -> None:
    rng = random.Random(count)
    for _ in range(count):
        _try_any(rng)


def test_settings_that_contradict_each_other_are_one_sentence() -> None:
    def make() -> Model:
        nn.GroupNorm(3, 4)
        raise AssertionError

    with pytest.raises(UnmixError, match=r"^a\.toml cannot be built \(num_channels"):
        outline(make, "a.toml")
