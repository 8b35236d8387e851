"""Converter of Spleeter's TensorFlow checkpoints for 2, 4 and 5 stems.

Keras numbers the layers across all stems, in their order: with six levels the convolutions of the
third stem begin at ``conv2d_14``.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from ...models import Model
from ._registry import Converter, Move, Tensors, register_converter
from ._tensor_bundle import CHECKSUMS, bundle_files, numbered, read_bundle

_WHAT = "a TensorFlow checkpoint of Spleeter (its folder or .index file)"
_LEVELS = 6
_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# Left by training beside the weights.
_TRAINING = re.compile(r"global_step|.*/Adam(_\d+)?|(.*/)?beta[12]_power(_\d+)?")


def _settings(tensors: Tensors) -> dict[str, Any]:
    biases = [tensors[numbered("conv2d", level) + "/bias"] for level in range(_LEVELS)]
    instruments = 0
    while numbered("conv2d", 7 * instruments + _LEVELS) + "/kernel" in tensors:
        instruments += 1
    return {"widths": [len(bias) for bias in biases], "stems": instruments}


def _moves(model: Model) -> list[Move]:
    moves = []
    for stem in range(len(model.stems)):
        ours = f"networks.{stem}"
        # Each stem has seven convolutions, six transposed ones and twelve normalisations.
        first, first_up, first_norm = 7 * stem, 6 * stem, 12 * stem
        for level in range(_LEVELS):
            moves += _convolution(f"{ours}.encoder.{level}.conv", "conv2d", first + level)
            moves += _norm(f"{ours}.encoder.{level}.norm", first_norm + level)
            moves += _convolution(
                f"{ours}.decoder.{level}.conv", "conv2d_transpose", first_up + level
            )
            moves += _norm(f"{ours}.decoder.{level}.norm", first_norm + _LEVELS + level)
        moves += _convolution(f"{ours}.last", "conv2d", first + _LEVELS)
    return moves


def _convolution(ours: str, kind: str, number: int) -> list[Move]:
    theirs = numbered(kind, number)
    return [
        Move(f"{ours}.weight", f"{theirs}/kernel", _kernel),
        Move(f"{ours}.bias", f"{theirs}/bias"),
    ]


def _norm(ours: str, number: int) -> list[Move]:
    theirs = numbered("batch_normalization", number)
    moves = [Move(f"{ours}.{mine}", f"{theirs}/{name}") for mine, name in _NORM.items()]
    # Keras does not count batches.
    moves.append(Move(f"{ours}.num_batches_tracked", f"{theirs}/count", optional=True))
    return moves


def _kernel(tensor: Tensor) -> Tensor:
    """Turn ``[time, frequency, a, b]`` into ``[b, a, frequency, time]``.

    A convolution maps a to b, a transposed one b to a, in Keras and torch alike.
    """
    return tensor.permute(3, 2, 1, 0)


register_converter(
    "spleeter",
    Converter(
        what=_WHAT,
        read=read_bundle,
        package=CHECKSUMS,
        files=bundle_files,
        settings=_settings,
        moves=_moves,
        free=frozenset({"widths"}),
        ignored=lambda name: _TRAINING.fullmatch(name) is not None,
    ),
)
