"""Converter of ByteDance's ResUNet143 checkpoints, with sub-bands and without: torch files."""

from __future__ import annotations

from ...models import Model
from ._bytesep import Layer, converter, moves
from ._registry import Move, register_converter

_WHAT = "a checkpoint of ByteDance's ResUNet143 (keys like encoder_block1.conv_block1.conv1.weight)"
_FIRST = "encoder_block{}.conv_block1.conv1.weight"


def _moves(model: Model) -> list[Move]:
    # Without sub-bands it was trained with InPlaceABN, which has a name of its own.
    banded = any(name.startswith("stft.filterbank") for name in model.state_dict())
    second = "bn2" if banded else "abn2"

    def layer(place: Layer, levels: int) -> str:
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

    return moves(model, layer)


register_converter("resunet", converter(_WHAT, _FIRST, _moves))
