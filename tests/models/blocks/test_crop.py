"""The middle: as much is cut before as after, one more after where the number is odd."""

import torch

from unmix.models.blocks.crop import centre


def test_cuts_alike_on_both_sides_of_the_last_axes() -> None:
    features = torch.arange(7 * 8).reshape(1, 7, 8)
    assert torch.equal(centre(features, (3,)), features[..., 2:5])
    assert torch.equal(centre(features, (3, 5)), features[:, 2:5, 1:6])
    assert torch.equal(centre(features, features.shape[1:]), features)
