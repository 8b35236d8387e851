"""The middle of features: what is left of a skip where convolutions have consumed its edges."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def centre(features: Tensor, size: Sequence[int]) -> Tensor:
    """Return the middle of features ``[..., *sizes]`` that has ``size`` along the last axes."""
    first = features.ndim - len(size)
    for axis, wanted in enumerate(size, first):
        features = features.narrow(axis, (features.shape[axis] - wanted) // 2, wanted)
    return features
