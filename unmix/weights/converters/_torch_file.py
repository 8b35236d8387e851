"""Reader of foreign ``torch.save`` files that never runs code from them.

Such a file is a pickle, which can name any function to call. Only tensors and plain values
(numbers, strings, lists, dicts) are read; a file that asks for more is refused.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ..archive import check_growth
from ._registry import Tensors


def read_torch(path: Path, what: str = "a PyTorch checkpoint") -> dict[str, Any]:
    """Return the dict in a file, its tensors on the CPU.

    Args:
        path: the ``.pth``, ``.pt`` or ``.ckpt`` file, in PyTorch's current format or the one
            before 1.6.
        what: what the file should be, for messages.

    Raises:
        ModelError: the file is missing, damaged, of another kind, or not safe to load.
    """
    if path.is_file():
        check_growth(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")  # about formats that are refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; expected {what}") from None
    # A damaged pickle can fail in any way, from EOFError to UnicodeDecodeError.
    except Exception:
        raise ModelError(
            f"{path}: expected {what} with only tensors and plain values; the file is damaged, of "
            "another kind, or asks to run code, which is refused"
        ) from None
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ModelError(f"{path}: expected {what}, a dict, but it holds a {kind}")
    return content


def read_tensors(path: Path, what: str, table: str = "") -> Tensors:
    """Return the tensors of a file by name; other values are left out.

    Args:
        path: see ``read_torch``.
        what: see ``read_torch``.
        table: key of the dict with the tensors (default: the file's own dict).

    Raises:
        ModelError: see ``read_torch``; or the table is missing.
    """
    held = read_torch(path, what)
    tensors = held.get(table) if table else held
    if not isinstance(tensors, dict):
        raise ModelError(f'{path}: expected {what}, but it has no table "{table}"')
    return {str(name): value for name, value in tensors.items() if isinstance(value, Tensor)}


class _NumberKind:
    """Stands in for ``numpy.dtype``: a kind of number, and nothing else."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch("[biuf][1248]", code):
            raise ValueError(f"{code!r} is not a kind of number")
        self.code = code

    def __setstate__(self, state: tuple[object, str]) -> None:
        self.code = state[1].replace("|", "") + self.code


def _number(kind: _NumberKind, content: bytes) -> float:
    """Stand in for numpy's function that rebuilds a number."""
    number: float = np.frombuffer(content, kind.code, count=1)[0].item()
    return number


# Checkpoints hold numpy's numbers, such as a learning rate from a cosine schedule, and PyTorch
# refuses them. These stand-ins accept numbers alone, unlike numpy's own functions.
_STAND_INS: list[Any] = [
    (_NumberKind, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
]
