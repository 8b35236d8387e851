"""Converter of the Hybrid Demucs weights of ``torchaudio.pipelines``."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...models import Model
from ._registry import Converter, Move, Tensors, register_converter
from ._torch_file import read_tensors

_WHAT = "the weights of torchaudio's Hybrid Demucs (keys like freq_encoder.0.conv.weight)"
_OURS = "network."


def _settings(tensors: Tensors) -> dict[str, Any]:
    # The embedding has a row per bin after the first level, which strides by four.
    bins = 4 * len(tensors["freq_emb.embedding.weight"])
    return {"width": len(tensors["freq_encoder.0.conv.weight"]), "n_fft": 2 * bins}


def _moves(model: Model) -> list[Move]:
    return [Move(name, name.removeprefix(_OURS)) for name in model.state_dict()]


register_converter(
    "hybrid-demucs",
    Converter(
        what=_WHAT,
        read=partial(read_tensors, what=_WHAT),
        settings=_settings,
        moves=_moves,
        package="torchaudio",
    ),
)
