"""Cropping: skips are cut to the size that valid convolutions leave."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def centre(features: Tensor, size: Sequence[int]) -> Tensor:
    """Crop features to the middle ``size`` along the last axes."""
    first = features.ndim - len(size)
    for axis, wanted in enumerate(size, first):
        features = features.narrow(axis, (features.shape[axis] - wanted) // 2, wanted)
    return features
