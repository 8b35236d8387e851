"""The residual U-Net: the published sizes, and what is the network's and what is not."""

import math

import pytest
import torch
from torch import Tensor

from unmix.frontends import STFT, SubbandSTFT
from unmix.models import build
from unmix.models.resunet import ResUNet
from unmix.recipes.reading import find_architecture

SMALL = {"n_fft": 64, "hop_length": 16, "widths": [4, 6, 8], "blocks": 1, "middle_stacks": 2}


def _published(recipe: str) -> ResUNet:
    choice = find_architecture(recipe)
    model = build(choice.architecture, choice.model)
    assert isinstance(model, ResUNet)
    return model


def _build(**settings: object) -> ResUNet:
    torch.manual_seed(0)
    model = build("resunet", SMALL | settings)
    assert isinstance(model, ResUNet)
    return model.eval()


@pytest.mark.parametrize(
    ("recipe", "parameters", "bins"),
    [("resunet", 102_571_278, 1025), ("resunet-subband", 102_572_466, 257)],
)
def test_is_of_the_published_size(recipe: str, parameters: int, bins: int) -> None:
    model = _published(recipe)
    assert sum(weight.numel() for weight in model.parameters()) == parameters
    assert model.norm.num_features == bins
    assert isinstance(model.stft, SubbandSTFT if recipe.endswith("subband") else STFT)
    assert model.stft.frame_count(model.chunk) == 301  # three seconds
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert sum(m.kernel_size == (3, 3) for m in convolutions) + len(model.decoder) + 1 == 143


@pytest.mark.parametrize("subbands", [1, 4])
def test_the_highest_bin_of_a_band_is_not_estimated(subbands: int) -> None:
    model = _build(subbands=subbands, stems=["vocals", "drums"])
    frames = model.stft(torch.randn(2, 2, 3000))
    with torch.inference_mode():
        estimates = model.estimate_frames(frames)
    assert estimates.shape == (2, 2, *frames.shape[1:])
    bands = estimates.unflatten(3, (subbands, -1))
    assert not bands[..., -1, :].any()
    assert bands[..., -2, :].any()


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_takes_any_number_of_frames(count: int) -> None:
    """Frames are padded to what the levels divide; what lies far behind does not matter."""
    model = _build()
    frames = torch.randn(1, 2, 33, count, dtype=torch.complex64)
    with torch.inference_mode():
        assert model.estimate_frames(frames).shape == (1, 1, 2, 33, count)


def _maps_order(subbands: int) -> Tensor:
    """Return which plane of the head's each map ``[S, C, 4, band]`` is: told by its bias."""
    model = _build(subbands=subbands, stems=["vocals", "drums"])
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.arange(len(model.head.bias)))
        maps = model._maps(torch.rand(1, 2, model.stft.bins, 8))
    return maps[0, ..., 0].unflatten(3, (subbands, -1))[..., 0]


@pytest.mark.parametrize("subbands", [1, 4])
def test_planes_count_stems_channels_maps_bands(subbands: int) -> None:
    expected = torch.arange(2 * 2 * 4 * subbands).float().view(2, 2, 4, subbands)
    assert torch.equal(_maps_order(subbands), expected)


def test_bounded_is_of_what_is_added() -> None:
    loose, tight = (_build(bounded=bounded) for bounded in (False, True))
    for model in (loose, tight):
        with torch.no_grad():
            model.head.weight.zero_()
            model.head.bias.copy_(torch.tensor([-50.0, 1, 0, 7] * 2))
    frames = torch.randn(1, 2, 33, 8, dtype=torch.complex64)
    with torch.no_grad():
        assert float(loose.estimate_frames(frames).abs().max()) == pytest.approx(7)
        assert float(tight.estimate_frames(frames).abs().max()) == pytest.approx(math.tanh(7))
