"""BSS Eval against museval, and against what must hold whatever the implementation."""

import numpy as np
import pytest
import torch
from torch import Tensor

from unmix.evaluation.official import _metrics
from unmix.metrics import BSSOptions, bss_eval

MODES = ["images", "sources"]


def _signals(channels: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return estimates and references ``[2, C, N]``: filtered, leaking and noisy."""
    random = np.random.default_rng(seed)
    references = random.standard_normal((2, channels, length))
    references += 0.8 * np.roll(references, 1, -1)
    estimates = references + 0.3 * references[::-1] + 0.1 * random.standard_normal(references.shape)
    estimates[:, 0] += 0.3 * np.roll(references[:, 0], 5, -1)
    return torch.from_numpy(estimates), torch.from_numpy(references)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frame", [8000, None])
@pytest.mark.parametrize("mode", MODES)
def test_agrees_with_museval(channels: int, frame: int | None, mode: str) -> None:
    estimates, references = _signals(channels, 25000)
    ours = bss_eval(
        estimates=estimates, references=references, options=BSSOptions(mode=mode, window=frame)
    )
    sdr, isr, sir, sar, _ = _metrics().bss_eval(
        references.numpy().transpose(0, 2, 1),
        estimates.numpy().transpose(0, 2, 1),
        compute_permutation=False,
        window=frame or np.inf,
        hop=frame or np.inf,
        framewise_filters=False,
        bsseval_sources_version=mode == "sources",
    )
    np.testing.assert_allclose(ours.sdr, sdr, atol=1e-6)
    np.testing.assert_allclose(ours.sir, sir, atol=1e-6)
    np.testing.assert_allclose(ours.sar, sar, atol=1e-6)
    if mode == "images":
        np.testing.assert_allclose(ours.isr, isr, atol=1e-6)


def test_a_filtered_reference_is_perfect_for_sources_alone() -> None:
    _, references = _signals(1, 8000)
    filtered = references + 0.5 * references.roll(3, -1)
    filtered[..., :3] = references[..., :3]
    forgiving = bss_eval(
        estimates=filtered, references=references, options=BSSOptions(mode="sources")
    )
    strict = bss_eval(estimates=filtered, references=references)
    assert (forgiving.sdr > 30).all()
    np.testing.assert_allclose(strict.sdr, 20 * np.log10(2), atol=0.1)
    assert (strict.sir > 30).all()


def test_leakage_is_interference_and_noise_is_artefact() -> None:
    _, references = _signals(1, 20000)
    noise = torch.from_numpy(np.random.default_rng(5).standard_normal(references.shape))
    leaking = bss_eval(estimates=references + 0.1 * references.flip(0), references=references)
    noisy = bss_eval(estimates=references + 0.1 * noise, references=references)
    assert (leaking.sir - leaking.sdr).abs().max() < 1
    assert (leaking.sar > leaking.sir + 20).all()
    assert (noisy.sar - noisy.sdr).abs().max() < 1
    assert (noisy.sir > noisy.sar + 10).all()


@pytest.mark.parametrize("mode", MODES)
def test_level_and_order_change_nothing(mode: str) -> None:
    estimates, references = _signals(2, 12000)
    one = bss_eval(
        estimates=estimates, references=references, options=BSSOptions(mode=mode, window=4000)
    )
    loud = bss_eval(
        estimates=7 * estimates,
        references=7 * references,
        options=BSSOptions(mode=mode, window=4000),
    )
    swapped = bss_eval(
        estimates=estimates.flip(0),
        references=references.flip(0),
        options=BSSOptions(mode=mode, window=4000),
    )
    assert one.sdr.shape == (2, 3)
    for name in ("sdr", "sir", "sar"):
        figure = getattr(one, name)
        torch.testing.assert_close(getattr(loud, name), figure)
        torch.testing.assert_close(getattr(swapped, name).flip(0), figure)


def test_silent_frames_have_no_figure() -> None:
    estimates, references = _signals(1, 9000)
    references[0, :, :3000] = 0
    scores = bss_eval(estimates=estimates, references=references, options=BSSOptions(window=3000))
    assert scores.sdr[:, 0].isnan().all()
    assert scores.sdr[:, 1:].isfinite().all()


def test_refuses_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match="one shape"):
        bss_eval(estimates=torch.zeros(1, 1, 5), references=torch.zeros(2, 1, 5))
