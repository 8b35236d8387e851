"""Converter of AdversarialAudioSeparation's TensorFlow checkpoints; critics are left out."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...models import Model
from ._registry import Converter, Move, Tensors, register_converter
from ._tensor_bundle import CHECKSUMS, SCOPE, bundle_files, ignored, numbered, read_bundle


def _settings(tensors: Tensors) -> dict[str, Any]:
    first = tensors[f"{SCOPE}conv2d/kernel"]
    if first.ndim != 4:
        raise ValueError("a convolution's separator/conv2d/kernel")
    doubling = f"{SCOPE}conv2d_transpose"
    depth = sum(name.startswith(doubling) and name.endswith("/kernel") for name in tensors)
    return {"width": first.shape[-1], "depth": depth}


def _moves(model: Model) -> list[Move]:
    depth = sum(".doubling." in name and name.endswith("weight") for name in model.state_dict())
    # Their layers are numbered in the order of use: encoder, decoder, then the stems' last ones.
    starts = {"encoder": 0, "decoder": depth + 1, "heads": 2 * depth + 1, "doubling": 0}
    moves = []
    for name in model.state_dict():
        _, part, index, kind = name.split(".")
        layer = "conv2d_transpose" if part == "doubling" else "conv2d"
        theirs = numbered(f"{SCOPE}{layer}", starts[part] + int(index))
        if kind == "weight":
            moves.append(Move(name, f"{theirs}/kernel", _channels_first))
        else:
            moves.append(Move(name, f"{theirs}/bias"))
    return moves


def _channels_first(kernel: Tensor) -> Tensor:
    """Turn ``[F, T, in, out]`` (transposed: ``[F, T, out, in]``) into torch's order."""
    return kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel


register_converter(
    "adversarial",
    Converter(
        what="a TensorFlow checkpoint of AdversarialAudioSeparation (its .index file)",
        read=read_bundle,
        package=CHECKSUMS,
        files=bundle_files,
        settings=_settings,
        moves=_moves,
        free=frozenset({"width", "depth"}),
        ignored=ignored,
    ),
)
