"""The small network: the published size, and that its layers are separable."""

import pytest
import torch
from torch import nn

from unmix.frontends import SubbandSTFT
from unmix.models import build
from unmix.models.mobilenet_subband import MobileNetSubband
from unmix.recipes.reading import find_architecture


@pytest.fixture(scope="module")
def model() -> MobileNetSubband:
    choice = find_architecture("mobilenet-subband")
    model = build(choice.architecture, choice.model).eval()
    assert isinstance(model, MobileNetSubband)
    return model


def test_is_of_the_published_size(model: MobileNetSubband) -> None:
    assert sum(weight.numel() for weight in model.parameters()) == 306_418
    assert model.config.widths == (32, 64, 64, 64, 64, 64)
    assert isinstance(model.stft, SubbandSTFT)


def test_three_by_three_is_within_a_map(model: MobileNetSubband) -> None:
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    wide = [m for m in convolutions if m.kernel_size != (1, 1)]
    assert len(wide) == 2 * 14  # two in each of six levels, down and up, in the middle, at the end
    assert all(m.groups == m.in_channels == m.out_channels for m in wide)


def test_doubling_repeats(model: MobileNetSubband) -> None:
    features = torch.randn(1, 64, 3, 5)
    with torch.inference_mode():
        doubled = model.decoder[0].doubling(features)
        deepest = model.decoder[-1].doubling(features)
    assert doubled.shape == (1, 32, 6, 10)
    assert torch.equal(doubled[:, :, ::2, ::2], doubled[:, :, 1::2, 1::2])
    assert deepest.shape == (1, 64, 6, 5)


def test_separates_three_seconds(model: MobileNetSubband) -> None:
    mixture = 0.1 * torch.randn(1, 2, 132301)
    with torch.inference_mode():
        assert model(mixture).shape == (1, 1, 2, 132301)
