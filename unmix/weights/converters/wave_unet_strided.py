"""Converter of Wave-U-Net-Pytorch's checkpoints, which are torch files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import ModelError
from ...models import Model
from ...models.wave_unet_strided import low_pass
from ._registry import Converter, Move, Tensors, register_converter
from ._torch_file import read_tensors

_WHAT = (
    "a checkpoint of Wave-U-Net-Pytorch (a dict with model_state_dict, and in it keys like "
    "waveunets.vocals.output_conv.weight)"
)
_TAPS = ("upconv.filter", "downconv.filter")
# Strides whose low-pass filters are recognised.
_STRIDES = range(2, 17)
#: Our and their names in a convolution with its normalisation.
_CONVOLUTION = {"0": "filter", "1": "norm"}


def read_checkpoint(path: Path) -> Tensors:
    """Return the tensors of the network, without the state of training.

    Raises:
        ModelError: the file is damaged, unsafe or of another kind.
    """
    weights = read_tensors(path, _WHAT, "model_state_dict")
    # Training on several devices wraps the network in a "module".
    tensors = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    if not _stride(_taps(tensors)):
        raise ModelError(
            f"{path}: expected {_WHAT}, with the fixed low-pass filters of that code; they are "
            "missing or different"
        )
    return tensors


def _taps(tensors: Tensors) -> list[Tensor]:
    return [tensor for name, tensor in tensors.items() if name.endswith(_TAPS)]


def _stride(filters: Iterable[Tensor]) -> int:
    """Return the stride that all filters fit, or 0."""
    held = [taps for taps in filters if taps.ndim == 3 and taps.shape[-1] == len(low_pass(2))]
    for stride in _STRIDES if held else ():
        expected = low_pass(stride)
        if all((taps.float() - expected).abs().max() < 1e-5 for taps in held):
            return stride
    return 0


def _settings(tensors: Tensors) -> dict[str, Any]:
    stems = [
        m[1] for m in (re.fullmatch(r"waveunets\.(.+)\.output_conv\.bias", n) for n in tensors) if m
    ]
    if not stems:
        raise KeyError("waveunets.vocals.output_conv.bias")
    first = f"waveunets.{stems[0]}.downsampling_blocks"
    width, audio_channels, kernel = tensors[f"{first}.0.pre_shortcut_convs.0.filter.weight"].shape
    blocks = sum(name.startswith(first) and name.endswith("downconv.filter") for name in tensors)
    return {
        "stems": stems,
        "audio_channels": audio_channels,
        "width": width,
        "depth": blocks + 1,
        "kernel": kernel,
        "stride": _stride(_taps(tensors)),
    }


def _moves(model: Model) -> list[Move]:
    moves = []
    for name in model.state_dict():
        _, index, *path = name.split(".")
        moves.append(Move(name, f"waveunets.{model.stems[int(index)]}.{_theirs(path)}"))
    return moves


def _theirs(path: list[str]) -> str:
    """Return their name of a tensor in one network, from the parts of ours."""
    match path:
        case ["output", kind]:
            return f"output_conv.{kind}"
        case ["bottleneck", part, kind]:
            return f"bottlenecks.0.{_CONVOLUTION[part]}.{kind}"
        case [side, level, place, part, kind]:
            blocks = {"encoder": "downsampling_blocks", "decoder": "upsampling_blocks"}[side]
            convolutions = {"before": "pre_shortcut_convs", "after": "post_shortcut_convs"}[place]
            return f"{blocks}.{level}.{convolutions}.0.{_CONVOLUTION[part]}.{kind}"
    raise ValueError(f"no name is known for {'.'.join(path)}")


register_converter(
    "wave-unet-strided",
    Converter(
        what=_WHAT,
        read=read_checkpoint,
        settings=_settings,
        moves=_moves,
        ignored=lambda name: name.endswith(_TAPS),
    ),
)
