"""Losses on cases with known values."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from unmix.frontends import STFT, SubbandSTFT
from unmix.training.config import LossConfig
from unmix.training.losses import Sound, band_weight, multi_resolution, separation_loss

STFT_64 = STFT(64, 16)
TERMS = ("magnitude", "complex", "waveform", "waveform_squared", "multi_resolution")
LINEAR = ("magnitude", "complex", "waveform")


def _stems(length: int = 800) -> torch.Tensor:
    return torch.randn(3, 2, 2, length, generator=torch.Generator().manual_seed(5))


def _loss(
    references: torch.Tensor,
    estimates: torch.Tensor,
    *,
    mixture: torch.Tensor | None = None,
    band: torch.Tensor | None = None,
    weights: list[float] | None = None,
    frames: bool = False,
    **settings: Any,
) -> torch.Tensor:
    """Return the loss of samples, with estimates as frames if ``frames``."""
    length = references.shape[-1]
    if frames:
        given = Sound(STFT_64, frames=STFT_64(estimates), length=length)
    else:
        given = Sound(STFT_64, estimates)
    return separation_loss(
        given,
        Sound(STFT_64, references),
        Sound(STFT_64, references.sum(1) if mixture is None else mixture),
        band,
        LossConfig(**{"magnitude": 0.0, "resolutions": (64, 128), **settings}),
        None if weights is None else torch.tensor(weights),
    )


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("term", TERMS)
def test_a_perfect_estimate_costs_nothing(term: str, frames: bool) -> None:
    references = _stems()
    assert _loss(references, references[:, :1], frames=frames, **{term: 1.0}) < 1e-4
    assert _loss(references, references, frames=frames, **{term: 1.0}) < 1e-4


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("term", [*LINEAR, "waveform_squared"])
def test_a_share_of_the_mixture_costs_what_is_missing(term: str, frames: bool) -> None:
    """If the mixture is all vocals, k times it is wrong by 1 - k, and so is the residual."""
    references = _stems()
    references[:, 1] = 0
    for k in (0.0, 0.25, 0.9):
        loss = _loss(references, k * references[:, :1], frames=frames, **{term: 1.0})
        wanted = (1 - k) ** 2 if term == "waveform_squared" else 1 - k
        assert loss == pytest.approx(wanted, rel=2e-3)


@pytest.mark.parametrize("k", [0.5, 0.9])
def test_multi_resolution_costs_convergence_and_logarithm(k: float) -> None:
    """For k times the mixture: |1 - k| of the norm, and |log k| in every bin."""
    mixture = _stems()[:, 0]
    distance = multi_resolution(
        k * mixture.unsqueeze(1), mixture.unsqueeze(1), mixture, (64, 256, 512)
    )
    assert distance.shape == (3, 1, 1)
    wanted = torch.full_like(distance, 1 - k - math.log(k))
    torch.testing.assert_close(distance, wanted, rtol=1e-2, atol=0)


@pytest.mark.parametrize("term", TERMS)
def test_a_silent_reference_is_judged_by_the_mixtures_level(term: str) -> None:
    """Silence for silence has no loss; anything else has its share of the mixture."""
    references = _stems()
    references[:, 0] = 0
    assert _loss(references, references[:, :1], **{term: 1.0}) < 1e-4
    wrong = 0.1 * references[:, 1:]
    loss = _loss(references, wrong, accompaniment=True, **{term: 1.0})
    if term in LINEAR:  # a tenth on the one stem, and so on the other
        assert loss == pytest.approx(0.1, rel=2e-3)
    elif term == "waveform_squared":
        assert loss == pytest.approx(0.01, rel=2e-3)
    assert 0 < loss < 10  # log(0.1 / 1e-3) + ...


@pytest.mark.parametrize("term", [*LINEAR, "waveform_squared"])
def test_plain_means_are_the_papers(term: str) -> None:
    references, estimates = _stems(), 0.3 * _stems().roll(1, 0)
    wanted = {
        "magnitude": (STFT_64(estimates).abs() - STFT_64(references).abs()).abs().mean(),
        "complex": (STFT_64(estimates) - STFT_64(references)).abs().mean(),
        "waveform": (estimates - references).abs().mean(),
        "waveform_squared": (estimates - references).square().mean(),
    }[term]
    loss = _loss(references, estimates, relative=False, **{term: 1.0})
    torch.testing.assert_close(loss, wanted)


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("limited", [False, True])
def test_the_rest_is_a_stem_like_any_other(term: str, frames: bool, limited: bool) -> None:
    """Two of three stems are estimated; the third is the residual."""
    references = torch.cat([_stems(), 0.5 * _stems().flip(1)[:, :1]], 1)
    estimates = 0.3 * references.roll(1, 0)[:, :2]
    rest = references.sum(1, keepdim=True) - estimates.sum(1, keepdim=True)
    limit = band_weight(torch.tensor([1000.0, 2000.0, 4000.0]), STFT_64, 8000)
    settings: dict[str, Any] = {"band": limit if limited else None, "frames": frames, term: 1.0}
    found = _loss(references, estimates, weights=[1, 2, 4], **settings)
    wanted = _loss(references, torch.cat([estimates, rest], 1), weights=[1, 2, 4], **settings)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("limited", [False, True])
def test_terms_add_up_by_weight(limited: bool) -> None:
    references = _stems()
    estimates = 0.3 * references.sum(1, keepdim=True)
    limit = band_weight(torch.tensor([1000.0, 2000.0, 4000.0]), STFT_64, 8000)
    band = limit if limited else None
    parts = [_loss(references, estimates, band=band, **{term: 1.0}) for term in TERMS]
    weights = (0.5, 2.0, 3.0, 0.7, 0.1)
    whole = _loss(references, estimates, band=band, **dict(zip(TERMS, weights, strict=True)))
    wanted = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    torch.testing.assert_close(whole, wanted)


@pytest.mark.parametrize("term", TERMS)
def test_stems_count_by_their_weights(term: str) -> None:
    references = _stems()
    estimates = 0.3 * references.roll(1, 0)
    whole = _loss(references, estimates, **{term: 1.0})
    ones = _loss(references, estimates, weights=[1, 1], **{term: 1.0})
    torch.testing.assert_close(ones, whole)
    first, second = (
        _loss(references, estimates, weights=weights, **{term: 1.0}) for weights in ([1, 0], [0, 1])
    )
    torch.testing.assert_close(first + second, whole)
    alone = references[:, :1]
    only = _loss(alone, estimates[:, :1], mixture=references.sum(1), **{term: 1.0})
    torch.testing.assert_close(first, only / 2)  # the mean is over both stems
    torch.testing.assert_close(
        _loss(references, estimates, weights=[3, 0.5], **{term: 1.0}), 3 * first + second / 2
    )


@pytest.mark.parametrize("term", TERMS)
def test_the_loss_is_relative_to_the_level(term: str) -> None:
    references = _stems()
    estimates = 0.3 * references.sum(1, keepdim=True)
    loud = _loss(references, estimates, **{term: 1.0})
    soft = _loss(references / 50, estimates / 50, **{term: 1.0})
    torch.testing.assert_close(loud, soft, rtol=1e-2, atol=0)


def test_wrong_phase_costs_the_complex_term_alone() -> None:
    references = _stems()[:, :1]
    frames = STFT_64(references)
    whole, config = Sound(STFT_64, references.sum(1)), {"accompaniment": False}
    turned = Sound(STFT_64, frames=1j * frames, length=800)
    losses = {
        term: separation_loss(
            turned,
            Sound(STFT_64, references),
            whole,
            None,
            LossConfig(**{"magnitude": 0.0, term: 1.0}, **config),
        )
        for term in ("magnitude", "complex")
    }
    assert losses["magnitude"] < 1e-5
    assert losses["complex"] == pytest.approx(2**0.5, rel=1e-3)


@pytest.mark.parametrize("relative", [True, False])
def test_silence_costs_nothing_and_has_a_gradient(relative: bool) -> None:
    silence = torch.zeros(1, 2, 2, 800)
    estimates = silence[:, :1].clone().requires_grad_()
    ones = dict.fromkeys(TERMS, 1.0)
    loss = _loss(silence, estimates, relative=relative, frames=True, **ones)
    loss.backward()
    assert loss == 0
    assert estimates.grad is not None
    assert estimates.grad.isfinite().all()


def test_a_band_is_found_in_subbands_too() -> None:
    """Their bins lie band after band, every other band mirrored, as the transform knows."""
    stft = SubbandSTFT(64, 16)
    weight = band_weight(torch.tensor([4000.0]), stft, 16000)
    assert weight.shape == (1, stft.bins)
    assert torch.equal(weight[0].bool(), stft.frequencies(16000) <= 4000)
    assert 0.45 < weight.mean() < 0.55


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("term", TERMS)
def test_above_the_band_nothing_counts(term: str, frames: bool) -> None:
    band = band_weight(torch.tensor([1000.0, float("inf")]), STFT_64, 8000)
    assert band.shape == (2, 33)
    assert band[0].sum() == 9  # 0, 125, ..., 1000 Hz
    assert band[1].all()
    references = _stems()[:2]
    time = torch.arange(800) / 8000
    spoiled = references[:, :1].clone()
    spoiled[0] += torch.sin(2 * torch.pi * 3000 * time)
    # A window's slopes reach into the band, 60 dB below.
    within = _loss(references, spoiled, band=band, frames=frames, **{term: 1.0})
    everywhere = _loss(references, spoiled, frames=frames, **{term: 1.0})
    assert within < (0.15 if term == "multi_resolution" else 0.02) * everywhere
    full = torch.ones_like(band)
    torch.testing.assert_close(
        _loss(references, spoiled, band=full, frames=frames, **{term: 1.0}),
        everywhere,
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_loss_without_terms_and_a_negative_weight_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least one term"):
        LossConfig(magnitude=0.0)
    with pytest.raises(ValidationError, match="below 0"):
        LossConfig(stem_weights={"vocals": -1.0})
