"""Samples may be floats or integers, arrays or tensors; all become float32 of full scale 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unmix.errors import UnmixError
from unmix.separation.arrays import as_samples, check_rate

WAVE = np.array([[-1.0, -0.5, 0.0, 0.5]])


@pytest.mark.parametrize(
    ("kind", "zero", "scale"), [("uint8", 128, 128), ("int16", 0, 32768), ("int32", 0, 1 << 31)]
)
def test_integers_count_as_fractions_of_full_scale(kind: str, zero: int, scale: int) -> None:
    whole = (WAVE * scale + zero).astype(kind)
    np.testing.assert_array_equal(as_samples(whole), WAVE)
    np.testing.assert_array_equal(as_samples(torch.from_numpy(whole)), WAVE)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_of_any_float_are_read(kind: torch.dtype) -> None:
    tensor = torch.from_numpy(WAVE).to(kind).requires_grad_()
    samples = as_samples(tensor)  # type: ignore[arg-type]
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, WAVE)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((1, 4), np.int64),
        np.zeros((1, 4), np.complex64),
        np.zeros((1, 4), bool),
        np.zeros((1, 1, 4)),
        np.zeros((0, 4)),
        np.zeros((1000, 2)),
        [[1.0], [1.0, 2.0]],
        ["a"],
    ],
)
def test_anything_else_is_refused(samples: Any) -> None:
    with pytest.raises(UnmixError, match="expected samples"):
        as_samples(samples)


def test_views_and_layouts_of_tensors_are_read() -> None:
    tensor = torch.from_numpy(WAVE)
    negative = torch._neg_view(-tensor)  # type: ignore[attr-defined]
    for kind in (tensor.to_sparse(), negative, tensor.T.contiguous().T):
        np.testing.assert_array_equal(as_samples(kind), WAVE)
    with pytest.raises(UnmixError, match="plain tensor"):
        as_samples(torch.zeros(2, 4, device="meta"))  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0, -1, 1, True, 10**9, 44100.5, float("nan"), None, "44100"])
def test_what_is_no_sample_rate_is_refused(rate: Any) -> None:
    with pytest.raises(UnmixError, match="sample rate must be a whole number of Hz"):
        check_rate(rate)
