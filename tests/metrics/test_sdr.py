"""Ratios against closed forms."""

import pytest
import torch

from unmix.metrics import sdr, si_sdr


def _noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_sdr_of_a_known_error() -> None:
    reference = _noise(2, 1000)
    assert sdr(estimate=0.9 * reference, reference=reference) == pytest.approx(20.0)
    assert sdr(estimate=0 * reference, reference=reference) == pytest.approx(0.0)


def test_sdr_is_joint_over_channels_and_batched_over_the_rest() -> None:
    reference = _noise(3, 2, 100)
    estimate = reference.clone()
    estimate[1, 0] += 0.1
    scores = sdr(estimate=estimate, reference=reference)
    assert scores.shape == (3,)
    assert scores[0] == float("inf")
    expected = 10 * torch.log10(reference[1].square().sum() / (100 * 0.01))
    torch.testing.assert_close(scores[1], expected)


def test_si_sdr_ignores_scale_and_nothing_else() -> None:
    reference, other = _noise(2, 1, 5000)
    other = other - (other * reference).sum() / reference.square().sum() * reference
    other = other * reference.norm() / other.norm()
    estimate = reference + 0.1 * other
    for scale in (0.1, 1.0, 7.0):
        assert si_sdr(estimate=scale * estimate, reference=reference) == pytest.approx(20.0)


def test_silence() -> None:
    zero, noise = torch.zeros(2, 10), _noise(2, 10)
    assert sdr(estimate=noise, reference=zero) == -float("inf")
    assert sdr(estimate=zero, reference=zero).isnan()
    assert si_sdr(estimate=noise, reference=zero).isnan()


def test_refuses_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match="one shape"):
        sdr(estimate=torch.zeros(1, 9), reference=torch.zeros(2, 9))
    with pytest.raises(ValueError, match="one shape"):
        sdr(estimate=torch.zeros(9), reference=torch.zeros(9))
