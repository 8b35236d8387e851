"""Laws of overlap-add: the chunks of a signal add up to the signal, whatever the overlap."""

import numpy as np
import pytest

from unmix.separation.overlap_add import OverlapAdd, fade


@pytest.mark.parametrize(("chunk", "hop"), [(1, 1), (10, 10), (10, 9), (10, 5), (10, 3), (10, 1)])
def test_the_chunks_of_a_signal_are_the_signal(chunk: int, hop: int) -> None:
    signal = np.random.default_rng(0).standard_normal((3, 2, 7 * hop + chunk), np.float32)
    adder = OverlapAdd((3, 2), chunk, hop)
    pieces = [adder.add(signal[..., start : start + chunk]) for start in range(0, 8 * hop, hop)]
    assert all(piece.shape == (3, 2, hop) for piece in pieces)
    whole = np.concatenate([*pieces, adder.finish()], -1)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, signal, atol=1e-6)


def test_what_one_chunk_covers_is_exact() -> None:
    signal = np.random.default_rng(1).standard_normal(100).astype(np.float32)
    np.testing.assert_array_equal(OverlapAdd((), 100, 75).add(signal)[25:], signal[25:75])


def test_samples_that_were_returned_do_not_change() -> None:
    adder = OverlapAdd((1,), 4, 2)
    first = adder.add(np.ones((1, 4), np.float32))
    before = first.copy()
    adder.add(np.full((1, 4), 9, np.float32))
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("overlap", [0, 1, 7, 50, 99])
def test_fades_of_neighbours_sum_to_one(overlap: int) -> None:
    weight = fade(100, overlap)
    assert (weight > 0).all()
    if 0 < overlap <= 50:
        np.testing.assert_allclose(weight[:overlap] + weight[100 - overlap :], 1, atol=1e-3)
