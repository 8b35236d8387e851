"""Features are levelled and compressed; silence stays silent."""

import pytest
import torch

from unmix.frontends.features import (
    at_network_precision,
    frequency_plane,
    level_of_sound,
    levelled_complex_as_channels,
    levelled_magnitude,
)


@pytest.fixture
def frames() -> torch.Tensor:
    torch.manual_seed(0)
    return 50 * torch.randn(2, 2, 9, 6, dtype=torch.complex64)


@pytest.mark.parametrize("features", [levelled_magnitude, levelled_complex_as_channels])
@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_features_do_not_depend_on_the_level(
    features, exponent: float, frames: torch.Tensor
) -> None:
    loud = features(frames, exponent)
    torch.testing.assert_close(features(frames / 10, exponent), loud, rtol=1e-4, atol=1e-5)
    assert features(torch.zeros_like(frames), exponent).abs().max() == 0


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_complex_as_channels_keeps_the_phase(exponent: float, frames: torch.Tensor) -> None:
    parts = levelled_complex_as_channels(frames, exponent)
    assert parts.shape == (2, 4, 9, 6)
    again = torch.complex(parts[:, 0::2], parts[:, 1::2])  # a pair for every channel
    torch.testing.assert_close(again.angle(), frames.angle())
    torch.testing.assert_close(again.abs(), levelled_magnitude(frames, exponent))


def test_compression_has_a_slope_at_zero() -> None:
    frames = torch.zeros(1, 1, 4, 4, dtype=torch.complex64)
    frames[..., 1:] = 1.0
    frames.requires_grad_()
    levelled_complex_as_channels(frames, 0.5).sum().backward()
    assert frames.grad is not None
    assert frames.grad.isfinite().all()


def test_silent_frames_do_not_change_the_level(frames: torch.Tensor) -> None:
    magnitude = frames.abs()
    longer = torch.nn.functional.pad(magnitude, (3, 40))
    torch.testing.assert_close(level_of_sound(longer), level_of_sound(magnitude))
    torch.testing.assert_close(
        level_of_sound(magnitude), 20 * magnitude.mean((1, 2, 3), keepdim=True)
    )


@pytest.mark.parametrize("bins", [1, 2, 512])
def test_the_frequency_plane_rises_from_zero_to_one(bins: int) -> None:
    plane = frequency_plane(torch.zeros(2, 3, bins, 4))
    assert plane.shape == (2, 1, bins, 4)
    assert plane[0, 0, 0, 0] == 0
    assert (plane.diff(dim=2) > 0).all()
    assert plane.max() == (bins > 1)


def test_the_frequency_plane_of_16_bits_is_rounded_once() -> None:
    exact = frequency_plane(torch.zeros(1, 1, 3000, 1))
    plane = frequency_plane(torch.zeros(1, 1, 3000, 1, dtype=torch.bfloat16))
    assert plane.dtype == torch.bfloat16
    assert torch.equal(plane, exact.bfloat16())


def test_features_have_the_precision_of_the_network() -> None:
    features = torch.rand(1, 2, 5, 4)
    assert at_network_precision(features) is features
    with torch.autocast("cpu", torch.bfloat16):
        lower, exact = at_network_precision(features), features.double()
        assert lower.dtype == torch.bfloat16
        assert torch.equal(lower, features.bfloat16())
        assert at_network_precision(exact) is exact
    with torch.autocast("cpu", enabled=False):
        assert at_network_precision(features) is features
