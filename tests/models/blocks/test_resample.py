"""Halving, doubling, folding."""

import pytest
import torch
from torch import nn

from unmix.models.blocks.conv import Style
from unmix.models.blocks.resample import Double, Halve, Pool, Repeat, fold_subbands, unfold_subbands


@pytest.mark.parametrize("preactivated", [False, True])
@pytest.mark.parametrize("up", [Double, Repeat])
def test_down_and_up_again(up: type[Double] | type[Repeat], preactivated: bool) -> None:
    style = Style(preactivated=preactivated)
    features = torch.randn(2, 4, 8, 6)
    halved = Halve(4, 6, style)(features)
    assert halved.shape == (2, 6, 4, 3)
    assert up(6, 4, style)(halved).shape == features.shape


def test_pooling_keeps_the_width() -> None:
    pool = Pool(4)
    assert pool.width_out == 4
    assert pool(torch.randn(2, 4, 8, 6)).shape == (2, 4, 4, 3)


def test_repeated_values_show_no_checkerboard() -> None:
    """A constant, doubled, is constant away from the edge, whatever the weights."""
    repeat = Repeat(3, 2, Style()).eval()
    inner = repeat(torch.ones(1, 3, 4, 4))[..., 1:-1, 1:-1]
    torch.testing.assert_close(inner, inner[..., :1, :1].expand_as(inner))
    assert isinstance(repeat[0], nn.Upsample)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_folding_is_undone(count: int) -> None:
    features = torch.randn(2, 3, 8, 5)
    folded = fold_subbands(features, count)
    assert folded.shape == (2, 3 * count, 8 // count, 5)
    assert torch.equal(unfold_subbands(folded, count), features)
    # Band b of map w is bins [b * F / count, (b + 1) * F / count).
    last = folded[:, 2 * count + count - 1]
    assert torch.equal(last, features[:, 2, 8 - 8 // count :])
