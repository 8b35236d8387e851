"""Reading and writing checkpoints, which are written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import UnmixError
from ..storage import written_whole


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` to a temporary file, then rename it to ``path``.

    If the process is killed, the disk is full or the power fails, the previous checkpoint stays as
    it was. A temporary file that is left behind is overwritten by the next run.

    Raises:
        UnmixError: the file cannot be written.
    """
    try:
        with written_whole(path, fsync=True) as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:
        raise UnmixError(
            f"{path}: cannot write the checkpoint ({error}); is the disk full?"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, tensors and plain values; loading runs no code.

    Raises:
        UnmixError: there is no such file, or it is not a checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UnmixError(f"{path}: no checkpoint to resume from") from None
    except Exception as error:
        raise UnmixError(f"{path}: not a training checkpoint, or damaged") from error
    return state
