"""Converter of Chainer's U-Nets: npz archives that ``chainer.serializers.save_npz`` writes."""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...models import Model
from ..archive import check_growth
from ._registry import Converter, Move, Tensors, register_converter

_WHAT = "a Chainer archive of the 16 kHz U-Net (keys like conv1/W and denorm1/gamma)"
#: Our and their names in a normalisation.
_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "avg_mean", "running_var": "avg_var"}


def read_chainer(path: Path) -> Tensors:
    """Return the arrays of a Chainer archive by path.

    Raises:
        ModelError: the file is damaged or of another kind.
    """
    check_growth(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names):
                raise ValueError("it holds one name twice")
            return {name.removesuffix(".npy"): _read(archive, name) for name in names}
    except ModelError:
        raise
    # A damaged archive can fail in any way, from NotImplementedError to a SyntaxError of a header.
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise ModelError(f"{path}: expected {_WHAT}, but it cannot be read: {reason}") from None


def _read(archive: zipfile.ZipFile, name: str) -> Tensor:
    """Return an array, once its header is known to ask for no more than the archive holds."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    if prod(shape) * dtype.itemsize > archive.getinfo(name).file_size or min(shape, default=0) < 0:
        raise ValueError(f"{name} has the shape {shape}, more than its data")
    with archive.open(name) as file:
        return torch.from_numpy(np.asarray(np.lib.format.read_array(file, allow_pickle=False)))


def _settings(tensors: Tensors) -> dict[str, Any]:
    depth = sum(name.startswith("conv") and name.endswith("/W") for name in tensors)
    if not depth:
        raise KeyError("conv1/W")
    widths = [len(tensors[f"conv{level}/b"]) for level in range(1, depth + 1)]
    return {"widths": widths, "kernel": tensors["conv1/W"].shape[-1]}


def _moves(model: Model) -> list[Move]:
    depth = sum(name.endswith(".0.weight") for name in model.state_dict()) // 2
    moves = []
    for level in range(depth):
        moves += _layer(f"encoder.{level}", f"conv{level + 1}", f"norm{level + 1}")
        norm = f"denorm{level + 1}" if level < depth - 1 else ""
        moves += _layer(f"decoder.{level}", f"deconv{level + 1}", norm)
    return moves


def _layer(ours: str, convolution: str, norm: str) -> list[Move]:
    """Return the moves of a convolution, and of the normalisation after it, if any."""
    moves = [
        Move(f"{ours}.0.weight", f"{convolution}/W"),
        Move(f"{ours}.0.bias", f"{convolution}/b"),
    ]
    if norm:
        moves += [Move(f"{ours}.1.{mine}", f"{norm}/{theirs}") for mine, theirs in _NORM.items()]
        moves.append(Move(f"{ours}.1.num_batches_tracked", f"{norm}/N", optional=True))
    return moves


register_converter(
    "unet",
    Converter(
        what=_WHAT, read=read_chainer, settings=_settings, moves=_moves, free=frozenset({"widths"})
    ),
)
