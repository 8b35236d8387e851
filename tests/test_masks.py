"""Masks multiply frames, and ratio masks share a mixture out."""

import torch

from unmix.masks import apply_mask, ratio_mask


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


def test_ratio_masks_share_out_what_is_there() -> None:
    magnitudes = torch.rand(2, 3, 2, 5, 4) + 0.1
    for exponent in (1.0, 2.0):
        mask = ratio_mask(magnitudes, exponent)
        torch.testing.assert_close(mask.sum(1), torch.ones(2, 2, 5, 4))
        assert ((mask >= 0) & (mask <= 1)).all()
    assert ratio_mask(torch.zeros(1, 2, 1, 3, 3)).abs().max() == 0
