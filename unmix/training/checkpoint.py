"""Checkpoints: everything a run needs to go on, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import UnmixError
from ..storage import written_whole


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` beside ``path`` and put it in its place when whole.

    A run that is killed, a disk that is full, or a machine that loses its power leaves the previous
    checkpoint as it was. What a killed run leaves beside it, the next one writes over.
    """
    try:
        with written_whole(path, fsync=True) as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:
        raise UnmixError(
            f"{path}: cannot write the checkpoint ({error}); is the disk full?"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds: tensors and plain values; reading it runs no code."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UnmixError(f"{path}: no checkpoint to resume from") from None
    except Exception as error:
        raise UnmixError(f"{path}: not a checkpoint of a training run ({error})") from error
    return state
