"""Axial attention: which positions see which, and that only distances count."""

import pytest
import torch

from unmix.models.blocks.axial import (
    AxialLayer,
    AxialTransformer,
    SelfAttention,
    rotate_by_position,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_rotation_keeps_lengths_and_tells_distances_only() -> None:
    query, key = torch.randn(2, 1, 8)
    turned_query = rotate_by_position(query.expand(20, 8))
    turned_key = rotate_by_position(key.expand(20, 8))
    torch.testing.assert_close(turned_query.norm(dim=-1), query.norm().expand(20))
    scores = turned_query @ turned_key.T
    for distance in (-3, 0, 5):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert scores[0].std() > 1e-2  # but it tells them


def test_sequences_do_not_see_each_other() -> None:
    """Reordering the sequences reorders the results: attention is along one axis only."""
    attention = SelfAttention(8, 2)
    features = torch.randn(2, 5, 7, 8)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(attention(features[:, order]), attention(features)[:, order])


def test_order_within_a_sequence_counts() -> None:
    attention = SelfAttention(8, 2)
    features = torch.randn(1, 1, 7, 8)
    flipped = attention(features.flip(2)).flip(2)
    assert not torch.allclose(flipped, attention(features), atol=1e-4)


def test_a_layer_sees_the_cross_and_two_see_everything() -> None:
    layer = AxialLayer(8, 2)
    layer.frequency[1].leave.weight.data.zero_()
    features = torch.randn(1, 4, 6, 8)
    struck = features.clone()
    struck[0, 2, 3] += 5 * torch.randn(8)
    changed = (layer(struck) - layer(features)).abs().amax(-1)[0] > 1e-6
    expected = torch.zeros(4, 6, dtype=torch.bool)
    expected[2] = True  # the frames of that bin
    assert torch.equal(changed, expected)
    whole = AxialLayer(8, 2)
    assert ((whole(struck) - whole(features)).abs().amax(-1) > 1e-7).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 17), (16, 2)])
def test_any_size_with_the_same_weights(size: tuple[int, int]) -> None:
    transformer = AxialTransformer(12, 2, 3)
    assert transformer(torch.randn(2, 12, *size)).shape == (2, 12, *size)


def test_refuses_heads_that_do_not_divide_the_width() -> None:
    with pytest.raises(ValueError, match="multiple of 8 for 4 attention heads, got 12"):
        AxialTransformer(12, 1, 4)
