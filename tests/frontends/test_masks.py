"""Laws of masks and of the Wiener filter."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from unmix.frontends.masks import MaskExtension, apply_mask, extend_mask, ratio_mask, wiener_filter
from unmix.models import Model, SpectrogramModel, build


def test_mask_scales_every_stem() -> None:
    frames = torch.randn(2, 2, 5, 3, dtype=torch.complex64)
    mask = torch.rand(2, 4, 2, 5, 3)
    masked = apply_mask(frames, mask)
    assert masked.shape == (2, 4, 2, 5, 3)
    torch.testing.assert_close(masked[1, 3], frames[1] * mask[1, 3])


def test_masks_that_sum_to_one_return_the_mixture() -> None:
    frames = torch.randn(1, 2, 5, 3, dtype=torch.complex64)
    mask = torch.rand(1, 1, 2, 5, 3)
    both = torch.cat([mask, 1 - mask], 1)
    torch.testing.assert_close(apply_mask(frames, both).sum(1), frames)


def test_a_low_precision_mask_does_not_coarsen_the_frames() -> None:
    frames = torch.randn(1, 1, 4, 4, dtype=torch.complex64)
    ones = torch.ones(1, 1, 1, 4, 4, dtype=torch.bfloat16)
    assert torch.equal(apply_mask(frames, ones)[:, 0], frames)


def test_complex_masks_turn_the_phase() -> None:
    frames = torch.randn(1, 1, 4, 4, dtype=torch.complex64)
    mask = torch.full((1, 1, 1, 4, 4), 1j)
    torch.testing.assert_close(apply_mask(frames, mask)[:, 0], frames * 1j)


def test_ratio_masks_sum_to_one() -> None:
    magnitudes = torch.rand(2, 3, 2, 5, 4) + 0.1
    for exponent in (1.0, 2.0):
        mask = ratio_mask(magnitudes, exponent)
        torch.testing.assert_close(mask.sum(1), torch.ones(2, 2, 5, 4))
        assert ((mask >= 0) & (mask <= 1)).all()


def test_ratio_masks_share_silence_equally() -> None:
    torch.testing.assert_close(
        ratio_mask(torch.zeros(1, 4, 1, 3, 3)), torch.full((1, 4, 1, 3, 3), 0.25)
    )


@pytest.mark.parametrize("extension", ["zeros", "average", "rest"])
def test_masks_are_extended(extension: MaskExtension) -> None:
    mask = ratio_mask(torch.rand(2, 3, 2, 5, 4))
    extended = extend_mask(mask, 8, extension, rest=1)
    assert extended.shape == (2, 3, 2, 8, 4)
    assert torch.equal(extended[..., :5, :], mask)
    above = extended[..., 5:, :]
    if extension == "average":
        torch.testing.assert_close(above, mask.mean(3, keepdim=True).expand_as(above))
    else:
        assert above[:, [0, 2]].abs().max() == 0
        assert (above[:, 1] == (extension == "rest")).all()
    if extension != "zeros":
        torch.testing.assert_close(extended.sum(1), torch.ones(2, 2, 8, 4))
    assert torch.equal(extend_mask(mask, 5, extension), mask)


def _sounds(
    *, batch: int = 2, stems: int = 3, channels: int = 2, level: float = 5.0
) -> tuple[Tensor, Tensor]:
    """Return frames of a mixture and plausible magnitudes of its stems, float64."""
    generator = torch.Generator().manual_seed(1)
    shape = (batch, channels, 9, 20)
    frames = level * torch.randn(shape, dtype=torch.complex128, generator=generator)
    magnitudes = torch.rand(batch, stems, *shape[1:], dtype=torch.float64, generator=generator)
    return frames, level * magnitudes


def _looped(frames: NDArray[Any], magnitudes: NDArray[Any], iterations: int) -> NDArray[Any]:
    """Return the filtered frames of one mixture, by the formulas, bin by bin."""
    epsilon = np.finfo(np.float32).eps
    level = max(1, abs(frames).max() / 10)
    mixture = frames / level
    stems, channels, bins, count = magnitudes.shape
    estimates = mixture * (magnitudes / (epsilon + magnitudes.sum(0)))
    for _ in range(iterations):
        filtered = np.zeros_like(estimates)
        for f in range(bins):
            power = (abs(estimates[:, :, f]) ** 2).mean(1)
            spatial = []
            for y, v in zip(estimates[:, :, f], power, strict=True):
                outer = sum(np.outer(y[:, t], y[:, t].conj()) for t in range(count))
                spatial.append(outer / (epsilon + v.sum()))
            for t in range(count):
                of_stem = [power[j, t] * spatial[j] for j in range(stems)]
                inverse = np.linalg.inv(sum(of_stem) + np.sqrt(epsilon) * np.eye(channels))
                for j in range(stems):
                    filtered[j, :, f, t] = of_stem[j] @ inverse @ mixture[:, f, t]
        estimates = filtered
    return estimates * level


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("iterations", [0, 1, 3])
@pytest.mark.parametrize("level", [0.05, 30.0])
def test_the_wiener_filter_is_its_formula(channels: int, iterations: int, level: float) -> None:
    frames, magnitudes = _sounds(channels=channels, level=level)
    filtered = wiener_filter(frames, magnitudes, iterations)
    for item in range(len(frames)):
        expected = _looped(frames[item].numpy(), magnitudes[item].numpy(), iterations)
        np.testing.assert_allclose(filtered[item].numpy(), expected, atol=1e-8 * level)


def test_on_one_channel_it_is_the_ratio_of_powers() -> None:
    frames, magnitudes = _sounds(channels=1, level=100.0)
    expected = apply_mask(frames, ratio_mask(magnitudes, 2.0))
    error = (wiener_filter(frames, magnitudes) - expected).abs()
    # They differ by the regularization only, which matters where the mixture is soft.
    assert (error <= 1e-2 * frames.abs().unsqueeze(1)).float().mean() > 0.98
    loud = frames.abs().unsqueeze(1).expand_as(error) > 30
    assert (error / frames.abs().unsqueeze(1))[loud].max() < 1e-2


def test_filtered_stems_sum_to_the_mixture() -> None:
    frames, magnitudes = _sounds(level=30.0)
    for iterations in (0, 1, 2):
        missing = wiener_filter(frames, magnitudes, iterations).sum(1) - frames
        assert missing.abs().max() < 5e-3 * frames.abs().max()


def test_stems_are_filtered_alike_in_any_order_and_batch() -> None:
    frames, magnitudes = _sounds()
    filtered = wiener_filter(frames, magnitudes)
    order = [2, 0, 1]
    torch.testing.assert_close(wiener_filter(frames, magnitudes[:, order]), filtered[:, order])
    # A loud item in the batch does not change the others.
    frames[0] *= 1000
    torch.testing.assert_close(wiener_filter(frames, magnitudes)[1], filtered[1])


def test_the_filter_keeps_silence() -> None:
    frames, magnitudes = _sounds(stems=2)
    assert wiener_filter(torch.zeros_like(frames), magnitudes).abs().max() == 0
    assert wiener_filter(frames, torch.zeros_like(magnitudes)).abs().max() == 0
    frames[..., 5] = 0
    assert wiener_filter(frames, magnitudes)[..., 5].abs().max() == 0
    magnitudes[:, 1] = 0
    filtered = wiener_filter(frames, magnitudes)
    assert filtered[:, 1].abs().max() == 0
    torch.testing.assert_close(filtered[:, 0], frames, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("level", [0.1, 3.0, 100.0])
def test_two_equal_channels_are_filtered_as_well_as_any(level: float) -> None:
    """Their covariance has rank one, whose inverse in float32 is prone to rounding errors."""
    frames, magnitudes = _sounds(level=level)
    frames[:, 1] = 0.8 * frames[:, 0]
    magnitudes[:, :, 1] = magnitudes[:, :, 0]
    for iterations in (1, 3):
        exact = wiener_filter(frames, magnitudes, iterations)
        rounded = wiener_filter(frames.to(torch.complex64), magnitudes.float(), iterations)
        assert rounded.dtype == torch.complex64
        assert (rounded - exact).abs().max() < 2e-6 * frames.abs().max()


def test_a_filter_for_stereo_tells_directions_apart() -> None:
    """Two sounds from two sides whose magnitudes are mixed up by half are separated."""
    generator = torch.Generator().manual_seed(2)
    gates = (torch.rand(2, 1, 1, 9, 200, generator=generator) > 0.5).float()
    sounds = 10 * gates * torch.randn(2, 1, 1, 9, 200, dtype=torch.complex64, generator=generator)
    sides = torch.tensor([[1.0, 0.2], [0.3, 1.0]]).view(2, 1, 2, 1, 1)
    references = (sounds * sides).transpose(0, 1)  # [1, S, C, F, T]
    magnitudes = references.abs() + 0.5 * references.abs().flip(1)
    mixture = references.sum(1)

    def error(iterations: int) -> float:
        estimates = wiener_filter(mixture, magnitudes, iterations)
        return float((estimates - references).abs().square().mean())

    assert error(1) < 0.5 * error(0)
    assert error(3) < 0.5 * error(1)


def _unet(wiener: int, stems: tuple[str, ...] = ("vocals",)) -> Model:
    torch.manual_seed(0)
    settings = {"stems": stems, "n_fft": 64, "hop_length": 16, "frames": 8, "width": 2, "depth": 2}
    return build("unet", settings | {"wiener": wiener}).eval()


@pytest.mark.parametrize("stems", [("vocals",), ("vocals", "accompaniment"), ("drums", "bass")])
def test_any_spectrogram_model_takes_the_filter(stems: tuple[str, ...]) -> None:
    mixture = 0.1 * torch.randn(2, 2, 1000)
    with torch.inference_mode():
        plain, filtered = _unet(0, stems)(mixture), _unet(1, stems)(mixture)
        silence = _unet(1, stems)(torch.zeros(1, 2, 1000))
    assert filtered.shape == plain.shape == (2, len(stems), 2, 1000)
    assert filtered.isfinite().all()
    assert (filtered - plain).abs().max() > 1e-3
    assert silence.abs().max() == 0


def test_the_residual_takes_part_in_the_filter() -> None:
    """Otherwise a single stem would be the whole mixture."""
    mixture = torch.randn(1, 2, 1000)
    with torch.inference_mode():
        plain, filtered = _unet(0)(mixture)[0, 0], _unet(1)(mixture)[0, 0]
    assert filtered.square().mean() < 0.5 * mixture.square().mean()
    assert torch.corrcoef(torch.stack([plain.flatten(), filtered.flatten()]))[0, 1] > 0.9


@pytest.mark.parametrize(
    ("stems", "covering"),
    [
        (("vocals",), False),
        (("accompaniment",), False),
        (("drums", "bass", "other"), False),
        (("vocals", "accompaniment"), True),
        (("vocals", "drums", "bass", "other"), True),
        (("vocals", "piano", "drums", "bass", "other"), True),
    ],
)
def test_stems_that_cover_the_mixture_leave_no_residual(
    stems: tuple[str, ...], covering: bool
) -> None:
    model = _unet(1, stems)
    assert isinstance(model, SpectrogramModel)
    frames = torch.randn(1, 2, 33, 8, dtype=torch.complex64)
    with torch.inference_mode():
        magnitudes = model.source_magnitudes(frames)
        estimates = model.estimate_frames(frames)
    assert model.covers_mixture == covering
    assert magnitudes.shape == (1, len(stems) + (not covering), 2, 33, 8)
    torch.testing.assert_close(magnitudes[:, : len(stems)], estimates.abs())
