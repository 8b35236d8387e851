"""Files that ``torch.save`` wrote elsewhere, read without running anything they contain.

Such a file is a pickle, and a pickle can name any function to call: loading a published checkpoint
may run a stranger's code. Only tensors and plain values (numbers, strings, lists, dicts) are taken
out here; a file that asks for more is refused, whatever it is.
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
from ._registry import Tensors


def read_torch(path: Path, what: str = "a PyTorch checkpoint") -> dict[str, Any]:
    """Return the dict that a file holds, its tensors on the CPU.

    Args:
        path: the ``.pth``, ``.pt`` or ``.ckpt`` file, in PyTorch's format of today or before 1.6.
        what: what was expected of it, for messages.

    Raises:
        ModelError: for a file that is missing, damaged, of another kind, or not safe to load.
    """
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")  # of formats that are refused a moment later
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; expected {what}") from None
    # A damaged pickle can fail in any way at all, from EOFError to UnicodeDecodeError.
    except Exception:
        raise ModelError(
            f"{path}: expected {what} that holds tensors and plain values only; it is damaged or "
            "of another kind, or it asks to run code: unsafe files are refused"
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
        table: key of the dict that holds them, if they are not at the top.

    Raises:
        ModelError: see ``read_torch``; or the table is missing.
    """
    held = read_torch(path, what)
    tensors = held.get(table) if table else held
    if not isinstance(tensors, dict):
        raise ModelError(f'{path}: expected {what}, but it has no table "{table}"')
    return {str(name): value for name, value in tensors.items() if isinstance(value, Tensor)}


class _NumberKind:
    """Takes the place of ``numpy.dtype``: what kind of number is meant, and nothing else."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch("[biuf][1248]", code):
            raise ValueError(f"{code!r} is no kind of number")
        self.code = code

    def __setstate__(self, state: tuple[object, str]) -> None:
        self.code = state[1].replace("|", "") + self.code


def _number(kind: _NumberKind, content: bytes) -> float:
    """Take the place of numpy's rebuilding of a number."""
    number: float = np.frombuffer(content, kind.code, count=1)[0].item()
    return number


# Checkpoints hold numbers of numpy's wherever a learning rate came out of a cosine, and PyTorch
# refuses those. Their makers in numpy take more than numbers; these here do not.
_STAND_INS: list[Any] = [
    (_NumberKind, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
]
