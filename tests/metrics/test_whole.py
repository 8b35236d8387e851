"""Scores of whole tracks: in blocks as at once, and against closed forms."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from unmix.metrics import log_l1, sdr, si_sdr, singing_scores, track_scores


def _noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("length", [200000, 5000, 1000, 1])
def test_blocks_give_what_the_functions_give(length: int) -> None:
    references = _noise(2, 2, length)
    estimates = references + 0.3 * _noise(2, 2, length, seed=1)

    def blocks() -> Iterator[tuple[Tensor, Tensor]]:
        for cut in range(0, length, 7001):
            yield estimates[..., cut : cut + 7001], references[..., cut : cut + 7001]

    scores = track_scores(blocks)
    torch.testing.assert_close(scores.sdr, sdr(estimate=estimates, reference=references))
    torch.testing.assert_close(scores.si_sdr, si_sdr(estimate=estimates, reference=references))
    torch.testing.assert_close(scores.log_l1, log_l1(estimate=estimates, reference=references))


def test_silence_and_perfection() -> None:
    references = torch.stack([torch.zeros(1, 5000), _noise(1, 5000).float()])
    scores = track_scores(lambda: [(references, references)])
    assert scores.sdr[0].isnan()
    assert scores.sdr[1] == float("inf")
    assert scores.log_l1.tolist() == [0, 0]


def test_a_level_is_off_by_itself() -> None:
    reference = _noise(3, 2, 50000)
    off = log_l1(estimate=0.5 * reference, reference=reference)
    assert off.shape == (3,)
    torch.testing.assert_close(off, torch.full_like(off, 6.0206), atol=1e-3, rtol=0)


def test_below_the_floor_all_is_one() -> None:
    quiet = 1e-7 * _noise(1, 1, 5000)
    assert log_l1(estimate=quiet, reference=torch.zeros_like(quiet)).tolist() == [0]
    sine = torch.sin(torch.arange(2048 * 20) * 2 * torch.pi * 64 / 2048)[None]
    apart = log_l1(estimate=sine, reference=torch.zeros_like(sine))
    assert 0 < apart < 100  # of three bins in a thousand, 100 dB


def test_refuses_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match="one shape"):
        log_l1(estimate=torch.zeros(1, 9), reference=torch.zeros(2, 9))
    with pytest.raises(ValueError, match="got none"):
        track_scores(list)


def test_the_gain_of_singing_is_over_the_mixture() -> None:
    references = _noise(2, 1, 8000)
    mixture = references.sum(0)
    estimates = references + 0.1 * references.flip(0)
    same = singing_scores(
        estimates=mixture.expand(2, 1, 8000), references=references, mixture=mixture
    )
    torch.testing.assert_close(same.nsdr, torch.zeros(2, dtype=torch.float64))
    ours = singing_scores(estimates=estimates, references=references, mixture=mixture)
    torch.testing.assert_close(ours.nsdr, torch.full((2,), 20.0).double(), atol=1, rtol=0)
    swapped = singing_scores(
        estimates=estimates.flip(0), references=references, mixture=mixture, permute=True
    )
    torch.testing.assert_close(swapped.sir, ours.sir)
    torch.testing.assert_close(swapped.nsdr, ours.nsdr)
