"""Converter of the Wave-U-Net's TensorFlow checkpoints, as its authors' code writes them.

The network is in the scope ``separator``: convolutions numbered from the first layer of the encoder
to those of the stems. The step and the optimizer's variables are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ...models import Model
from ._registry import Converter, Move, Tensors, register_converter
from ._tensor_bundle import CHECKSUMS, SCOPE, bundle_files, ignored, numbered, read_bundle


def _settings(tensors: Tensors) -> dict[str, Any]:
    """Return settings from the shapes, which show neither the sample rate nor the padding."""
    first = tensors[f"{_layer(0)}/kernel"]  # [taps, C, width]
    size, audio_channels, width = first.shape
    widths: list[int] = []
    while (kernel := tensors.get(f"{_layer(len(widths))}/kernel")) is not None:
        widths.append(kernel.shape[-1])
    depth = widths.index(max(widths))  # the bottleneck is the widest, and follows the encoder
    return {
        "width": width,
        "depth": depth,
        "audio_channels": audio_channels,
        "filter_size": size,
        "merge_filter_size": tensors[f"{_layer(depth + 1)}/kernel"].shape[0],
        "upsampling": "learned" if f"{SCOPE}interp_0" in tensors else "linear",
    }


def _moves(model: Model) -> list[Move]:
    moves = []
    for number, ours in enumerate(_convolutions(model)):
        moves.append(Move(f"{ours}.weight", f"{_layer(number)}/kernel", _as_ours))
        moves.append(Move(f"{ours}.bias", f"{_layer(number)}/bias"))
    for name in model.state_dict():
        if name.startswith("upsampling."):
            level = name.split(".")[1]
            moves.append(Move(name, f"{SCOPE}interp_{level}", lambda weight: weight.unsqueeze(-1)))
    return moves


def _convolutions(model: Model) -> Iterator[str]:
    """Yield the names of our convolutions in their order."""
    names = [name.removesuffix(".bias") for name in model.state_dict() if name.endswith(".bias")]
    for part in ("encoder", "bottleneck", "decoder", "outputs"):
        yield from (name for name in names if name.split(".")[0] == part)


def _layer(number: int) -> str:
    return numbered(f"{SCOPE}conv1d", number)


def _as_ours(kernel: Tensor) -> Tensor:
    """Turn ``[taps, in, out]`` into ``[out, in, taps]``."""
    return kernel.permute(2, 1, 0)


register_converter(
    "wave-unet",
    Converter(
        what="a TensorFlow checkpoint of the Wave-U-Net (its .index file or folder)",
        read=read_bundle,
        package=CHECKSUMS,
        files=bundle_files,
        settings=_settings,
        moves=_moves,
        free=frozenset({"width"}),
        ignored=ignored,
    ),
)
