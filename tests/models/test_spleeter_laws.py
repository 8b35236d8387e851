"""Spleeter's laws: pieces apart, stems that sum to the mixture, settings that fit."""

import numpy as np
import pytest
import torch

from unmix import Separator
from unmix.errors import ConfigError
from unmix.models import build
from unmix.models.spleeter import Spleeter
from unmix.recipes.reading import find_architecture

RECIPES = ("spleeter-2stems", "spleeter-4stems", "spleeter-5stems")


def _small(recipe: str = "spleeter-2stems", **settings: object) -> Spleeter:
    torch.manual_seed(0)
    table = find_architecture(recipe).model
    smoke = {"n_fft": 64, "hop_length": 16, "frames": 16, "bins": 16, "widths": [3, 4, 5]}
    model = build("spleeter", table | smoke | settings).eval()
    assert isinstance(model, Spleeter)
    return model


def test_pieces_do_not_see_each_other() -> None:
    model = _small()
    frames = torch.randn(2, 2, 33, 40, dtype=torch.complex64)
    silence = torch.zeros(2, 2, 33, 8, dtype=torch.complex64)
    with torch.inference_mode():
        whole = model.estimate_magnitudes(frames)
        first, second = (model.estimate_magnitudes(frames[..., k : k + 16]) for k in (0, 16))
        last = model.estimate_magnitudes(torch.cat([frames[..., 32:], silence], -1))[..., :8]
    torch.testing.assert_close(whole, torch.cat([first, second, last], -1))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("wiener", [0, 1])
def test_the_stems_are_all_of_the_mixture(recipe: str, wiener: int) -> None:
    model = _small(recipe, wiener=wiener)
    mixture = torch.randn(1, 2, 2000)
    with torch.inference_mode():
        missing = model(mixture).sum(1) - mixture
    assert missing.abs().max() < (1e-5 if wiener == 0 else 2e-2)


@pytest.mark.parametrize(
    ("stems", "rest"),
    [
        (["accompaniment", "vocals"], 0),
        (["vocals", "other", "drums"], 1),
        (["vocals", "drums"], 1),
    ],
)
def test_the_rest_has_what_the_networks_do_not_see(stems: list[str], rest: int) -> None:
    model = _small(stems=stems)
    with torch.inference_mode():
        frames = torch.randn(1, 2, 33, 16, dtype=torch.complex64)
        estimates = model.estimate_frames(frames)[:, :, :, 16:]
    assert torch.equal(estimates[:, rest], frames[:, :, 16:])
    others = [rank for rank in range(len(stems)) if rank != rest]
    assert not estimates[:, others].any()


def test_zeros_lose_what_the_networks_do_not_see() -> None:
    model = _small(mask_extension="zeros", wiener=1)
    with torch.inference_mode():
        frames = torch.randn(1, 2, 33, 16, dtype=torch.complex64)
        assert not model.estimate_frames(frames)[:, :, :, 16:].any()
        assert not model.source_magnitudes(frames)[:, :, :, 16:].any()


def test_softmax_shares_sum_to_the_mixture() -> None:
    frames = torch.randn(1, 2, 33, 16, dtype=torch.complex64)
    with torch.inference_mode():
        shared_out = _small("spleeter-5stems").estimate_magnitudes(frames).sum(1)
    torch.testing.assert_close(shared_out, frames[:, :, :16].abs())


def test_another_band_with_the_same_weights() -> None:
    narrow, wide = _small(bins=16), _small(bins=32)
    wide.load_state_dict(narrow.state_dict())
    with torch.inference_mode():
        assert wide(torch.randn(1, 2, 1000)).isfinite().all()


def test_the_separator_takes_it_in_its_own_layout() -> None:
    model = _small("spleeter-4stems")
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 5000)).astype(np.float32)
    with torch.inference_mode():
        expected = model(torch.from_numpy(samples)[None])[0, 0].numpy()
    separator = Separator(model, device="cpu", precision="fp32", overlap=0.0, chunk=5000 / 44100)
    np.testing.assert_allclose(separator.separate(samples, 44100)["vocals"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bins": 20}, "multiples of 8"),
        ({"frames": 12}, "multiples of 8"),
        ({"bins": 40}, "at most 33 bins with n_fft 64"),
        ({"padding": "zeros"}, "padding"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _small(**settings)
