"""Converter of ByteDance's MobileNet_Subbandtime checkpoints, which are torch files."""

from __future__ import annotations

from ...models import Model
from ._bytesep import Layer, converter, moves
from ._registry import Move, register_converter

_WHAT = (
    "a checkpoint of ByteDance's MobileNet_Subbandtime "
    "(keys like encoder_block1.conv_block.conv1a.weight)"
)
_FIRST = "encoder_block{}.conv_block.conv1a.weight"


def _layer(place: Layer, levels: int) -> str:
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


def _moves(model: Model) -> list[Move]:
    return moves(model, _layer)


register_converter("mobilenet-subband", converter(_WHAT, _FIRST, _moves))
