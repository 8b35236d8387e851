"""Converters of ByteDance's checkpoints of ResUNet143 and MobileNet_Subbandtime: torch files.

A checkpoint is ``{"step": ..., "model": state}``. Its STFT is fixed and ignored; its sub-band
filters are converted, as ours are of another design.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ...models import Model
from ._registry import Converter, Move, Tensors, register_converter
from ._torch_file import read_tensors

_ANALYSIS = "pqmf.ana_conv_filter.weight"
_SYNTHESIS = "pqmf.syn_conv_filter.weight"
# encoder.LEVEL.BLOCK, bottleneck.STACK.BLOCK (or .BLOCK), decoder.LEVEL.stack.BLOCK, last.BLOCK
_LAYER = re.compile(
    r"(encoder|bottleneck|decoder|last)(?:\.(\d+))?(?:\.stack)?\.(\d+)\.(?:branch\.)?(\d+|shortcut)"
)
_RESUNET_WHAT = (
    "a checkpoint of ByteDance's ResUNet143 (keys like encoder_block1.conv_block1.conv1.weight)"
)
_RESUNET_FIRST = "encoder_block{}.conv_block1.conv1.weight"
_MOBILENET_WHAT = (
    "a checkpoint of ByteDance's MobileNet_Subbandtime "
    "(keys like encoder_block1.conv_block.conv1a.weight)"
)
_MOBILENET_FIRST = "encoder_block{}.conv_block.conv1a.weight"


@dataclass(frozen=True)
class _Layer:
    """Place of a layer in our model."""

    part: str
    """"encoder", "bottleneck", "decoder" or "last"."""
    rank: int
    """Of the level or bottleneck stack, counted as theirs are: from 1, in the order of use."""
    block: int
    """Place in the stack, from 0."""
    name: str
    """Place in the branch, from 0, or "shortcut"."""


def _converter(what: str, first: str, moves: Callable[[Model], list[Move]]) -> Converter:
    """Return a converter of these checkpoints.

    Args:
        what: see ``Converter``.
        first: name of a level's first weight ``[width, planes, ...]``, with ``{}`` for the level.
        moves: see ``Converter``.
    """
    return Converter(
        what=what,
        read=partial(read_tensors, what=what, table="model"),
        settings=partial(_settings, first=first),
        moves=moves,
        ignored=_ignored,
    )


def _settings(tensors: Tensors, first: str) -> dict[str, Any]:
    levels = 1
    while first.format(levels + 1) in tensors:
        levels += 1
    widths = [len(tensors[first.format(level)]) for level in range(1, levels + 1)]
    bands = len(tensors[_ANALYSIS]) if _ANALYSIS in tensors else 1
    return {"widths": widths, "audio_channels": tensors[first.format(1)].shape[1] // bands}


def _ignored(name: str) -> bool:
    """Return whether a tensor belongs to their STFT, which is fixed."""
    return name.startswith(("stft.", "istft."))


def _moves(model: Model, layer: Callable[[_Layer, int], str]) -> list[Move]:
    """Return the moves for a model.

    Args:
        model: to be filled.
        layer: returns their name of a layer in a stack, given the layer and the number of levels.
    """
    state = model.state_dict()
    levels = len({name.split(".")[1] for name in state if name.startswith("encoder.")})
    found = [
        Move("stft.filterbank.analysis_filters", _ANALYSIS, _analysis_filters),
        Move("stft.filterbank.synthesis_filters", _SYNTHESIS, _synthesis_filters),
    ]
    found = [move for move in found if move.ours in state]
    for ours, value in state.items():
        place, _, leaf = ours.rpartition(".")
        if place == "stft.filterbank":
            continue
        theirs = f"{_theirs(place, levels, layer)}.{leaf}"
        if value.ndim == 4:
            found.append(Move(ours, theirs, _frequency_first))
        elif theirs.endswith("abn2.weight"):
            found.append(Move(ours, theirs, _in_place_weight))
        else:
            found.append(Move(ours, theirs, optional=leaf == "num_batches_tracked"))
    return found


def _theirs(place: str, levels: int, layer: Callable[[_Layer, int], str]) -> str:
    fixed = {"norm": "bn0", "head": "after_conv2"}
    if place in fixed:
        return fixed[place]
    if doubling := re.fullmatch(r"decoder\.(\d+)\.doubling\.(\d+)", place):
        kind = "bn1" if doubling[2] == "0" else "conv1"
        return f"decoder_block{levels - int(doubling[1])}.{kind}"
    match = _LAYER.fullmatch(place)
    if match is None:  # a mistake here, not in the file
        raise ValueError(f"no place for {place!r}")
    part, rank, block, name = match.groups()
    # Our decoder lists its levels like the encoder; theirs counts from the deepest.
    number = levels - int(rank) if part == "decoder" else int(rank or 0) + 1
    return layer(_Layer(part, number, int(block), name), levels)


def _frequency_first(weight: Tensor) -> Tensor:
    """Turn a kernel ``[..., time, frequency]`` into ``[..., frequency, time]``."""
    return weight.transpose(2, 3)


def _in_place_weight(weight: Tensor) -> Tensor:
    """Return the factors that InPlaceABN computes from its weights to keep them positive."""
    return weight.abs() + 1e-5


def _analysis_filters(weight: Tensor) -> Tensor:
    """Turn ``[band, 1, tap]`` into ``[band, tap]``."""
    return weight.squeeze(1)


def _synthesis_filters(weight: Tensor) -> Tensor:
    """Turn ``[phase, band, step]``, the taps of each phase backwards, into ``[band, tap]``."""
    return weight.permute(1, 2, 0).flip(1).flatten(1)


def _resunet_moves(model: Model) -> list[Move]:
    # Without sub-bands it was trained with InPlaceABN, which has a name of its own.
    banded = any(name.startswith("stft.filterbank") for name in model.state_dict())
    second = "bn2" if banded else "abn2"

    def layer(place: _Layer, levels: int) -> str:
        stack = {
            "encoder": f"encoder_block{place.rank}",
            "bottleneck": f"conv_block{levels + 1}{chr(ord('a') + place.rank - 1)}",
            "decoder": f"decoder_block{place.rank}",
            "last": "after_conv_block1",
        }[place.part]
        # The decoder's first block is its upsampling.
        number = place.block + (2 if place.part == "decoder" else 1)
        kinds = {"0": "bn1", "2": "conv1", "3": second, "5": "conv2", "shortcut": "shortcut"}
        return f"{stack}.conv_block{number}.{kinds[place.name]}"

    return _moves(model, layer)


def _mobilenet_layer(place: _Layer, levels: int) -> str:
    stack = {
        "encoder": f"encoder_block{place.rank}.conv_block",
        "bottleneck": f"conv_block{levels + 1}",
        "decoder": f"decoder_block{place.rank}.conv_block2",
        "last": "after_conv_block1",
    }[place.part]
    if place.name == "shortcut":
        return f"{stack}.shortcut"
    # Normalisation, activation, convolution: three times, named a, b, c.
    turn, kind = divmod(int(place.name), 3)
    return f"{stack}.{'conv' if kind else 'bn'}{place.block + 1}{'abc'[turn]}"


def _mobilenet_moves(model: Model) -> list[Move]:
    return _moves(model, _mobilenet_layer)


register_converter("resunet", _converter(_RESUNET_WHAT, _RESUNET_FIRST, _resunet_moves))
register_converter(
    "mobilenet-subband", _converter(_MOBILENET_WHAT, _MOBILENET_FIRST, _mobilenet_moves)
)
