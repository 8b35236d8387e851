"""Skips: what they return, and what gates and paths may do to what comes across."""

import pytest
import torch
from torch import nn

from unmix.models.blocks.conv import Style
from unmix.models.blocks.skips import (
    Add,
    AttentionGate,
    Concatenate,
    Convolved,
    Gated,
    Multiply,
    ResPath,
    Skip,
)

STYLE = Style()


@pytest.mark.parametrize(
    ("skip", "parts"),
    [
        (Concatenate(), 2),
        (Add(), 1),
        (Multiply(), 1),
        (Gated(4, STYLE), 2),
        (Convolved(4, 3, STYLE), 2),
    ],
)
def test_width_is_as_told(skip: Skip, parts: int) -> None:
    up, across = torch.randn(2, 2, 4, 6, 5)
    assert skip.parts == parts
    assert skip(up, [across]).shape == (2, 4 * parts, 6, 5)


def test_concatenation_takes_any_number_and_keeps_their_order() -> None:
    up, *across = torch.randn(4, 1, 2, 3, 3)
    skip = Concatenate(3)
    assert skip.parts == 4
    assert torch.equal(skip(up, across), torch.cat([*across, up], 1))


def test_sum_and_product() -> None:
    up, across = torch.randn(2, 1, 2, 3, 3)
    assert torch.equal(Add()(up, [across]), up + across)
    assert torch.equal(Multiply()(up, [across]), up * across)


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
@pytest.mark.parametrize("width", [1, 8])
def test_a_gate_is_one_map_in_zero_to_one(norm: str, width: int) -> None:
    gate = AttentionGate(width, Style(norm=norm))  # type: ignore[arg-type]
    value = gate(*(10 * torch.randn(2, 3, width, 6, 5)))
    assert value.shape == (3, 1, 6, 5)
    assert ((value >= 0) & (value <= 1)).all()
    assert value.std() > 0


def test_a_gate_closes_on_what_comes_across_only() -> None:
    skip = Gated(4, STYLE).eval()
    nn.init.constant_(skip.attention.gate[2].bias, -100.0)
    up, across = torch.randn(2, 1, 4, 6, 5)
    gated = skip(up, [across])
    assert gated[:, :4].abs().max() < 1e-30
    assert torch.equal(gated[:, 4:], up)


@pytest.mark.parametrize("units", [1, 2, 4])
def test_a_respath_can_be_the_identity(units: int) -> None:
    """With closed 3x3 convolutions and open 1x1 ones, what was rectified passes unchanged."""
    path = ResPath(4, units, STYLE).eval()
    assert len(path) == units
    for unit in path:
        nn.init.zeros_(unit.body[0].weight)
        nn.init.dirac_(unit.shortcut[0].weight)
    features = torch.rand(2, 4, 6, 5)
    torch.testing.assert_close(path(features), features, rtol=1e-4, atol=0)


def test_a_respath_of_no_units_is_nothing() -> None:
    features = torch.randn(1, 4, 3, 3)
    assert torch.equal(ResPath(4, 0, STYLE)(features), features)
