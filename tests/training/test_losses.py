"""Losses on cases whose value is known."""

import pytest
import torch

from unmix.frontends import STFT
from unmix.masks import apply_mask
from unmix.training.config import LossConfig
from unmix.training.losses import band_weight, separation_loss

STFT_64 = STFT(64, 16)
TERMS = ("magnitude", "complex", "waveform")


def _stems(length: int = 800) -> torch.Tensor:
    return torch.randn(3, 2, 2, length, generator=torch.Generator().manual_seed(5))


def _loss(references: torch.Tensor, estimates: torch.Tensor, **weights: float) -> torch.Tensor:
    mixture = STFT_64(references.sum(1))
    ones = torch.ones(len(references), STFT_64.bins)
    config = LossConfig(**{"magnitude": 0.0, **weights})
    return separation_loss(estimates, references, mixture, ones, STFT_64, config)


@pytest.mark.parametrize("term", TERMS)
def test_a_perfect_estimate_costs_nothing(term: str) -> None:
    references = _stems()
    estimates = STFT_64(references[:, :1])
    assert _loss(references, estimates, **{term: 1.0}) < 1e-5


@pytest.mark.parametrize("term", TERMS)
def test_silence_for_a_single_stem_costs_its_share(term: str) -> None:
    """With the mixture all vocals, an estimate of k times it is (1 - k) wrong, twice over."""
    references = _stems()
    references[:, 1] = 0
    mixture = STFT_64(references.sum(1))
    for k in (0.0, 0.25, 0.9):
        mask = torch.full((3, 1, 2, STFT_64.bins, mixture.shape[-1]), k)
        loss = _loss(references, apply_mask(mixture, mask), **{term: 1.0})
        assert loss == pytest.approx(1 - k, rel=2e-3)


def test_terms_add_up_by_weight() -> None:
    references = _stems()
    estimates = 0.3 * STFT_64(references.sum(1, keepdim=True))
    parts = [_loss(references, estimates, **{term: 1.0}) for term in TERMS]
    whole = _loss(references, estimates, magnitude=0.5, complex=2.0, waveform=3.0)
    torch.testing.assert_close(whole, 0.5 * parts[0] + 2 * parts[1] + 3 * parts[2])


def test_the_loss_is_relative_to_the_level() -> None:
    references = _stems()
    estimates = 0.3 * STFT_64(references.sum(1, keepdim=True))
    loud = _loss(references, estimates, magnitude=1.0, waveform=1.0)
    soft = _loss(references / 50, estimates / 50, magnitude=1.0, waveform=1.0)
    torch.testing.assert_close(loud, soft, rtol=1e-2, atol=0)


def test_wrong_phase_costs_the_complex_term_alone() -> None:
    references = _stems()
    references[:, 1] = 0
    turned = 1j * STFT_64(references[:, :1])
    config = {"accompaniment": False}
    only = references[:, :1]
    mixture = STFT_64(references.sum(1))
    ones = torch.ones(3, STFT_64.bins)
    magnitude = separation_loss(
        turned, only, mixture, ones, STFT_64, LossConfig(magnitude=1.0, **config)
    )
    complex_ = separation_loss(
        turned, only, mixture, ones, STFT_64, LossConfig(magnitude=0.0, complex=1.0, **config)
    )
    assert magnitude < 1e-5
    assert complex_ == pytest.approx(2**0.5, rel=1e-3)


def test_silence_costs_nothing_and_has_a_gradient() -> None:
    silence = torch.zeros(1, 2, 2, 400)
    estimates = STFT_64(silence[:, :1]).requires_grad_()
    loss = _loss(silence, estimates, magnitude=1.0, complex=1.0, waveform=1.0)
    loss.backward()
    assert loss == 0
    assert estimates.grad is not None
    assert torch.view_as_real(estimates.grad).isfinite().all()


def test_above_the_band_nothing_counts() -> None:
    weight = band_weight(torch.tensor([1000.0, float("inf")]), STFT_64, 8000)
    assert weight.shape == (2, 33)
    assert weight[0].sum() == 9  # 0, 125, ..., 1000 Hz
    assert weight[1].all()
    references = _stems()[:2]
    mixture = STFT_64(references.sum(1))
    estimates = STFT_64(references[:, :1])
    spoiled = estimates.clone()
    spoiled[0, ..., 9:, :] += 100
    config = LossConfig(magnitude=1.0, complex=1.0, waveform=1.0)
    loss = separation_loss(spoiled, references, mixture, weight, STFT_64, config)
    assert loss < 1e-5
