"""Losses and gradients that are not finite: detection and reports."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from ..errors import UnmixError
from .batches import Batch
from .checkpoint import save_checkpoint


def fault(loss: float, norm: float, scaled: bool) -> str | None:
    """Return which value of a step is not finite, as a text; None if all are.

    Args:
        loss: loss of the step.
        norm: norm of its gradient.
        scaled: whether a loss scaler handles infinite gradients itself.
    """
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    if not math.isfinite(norm) and not scaled:
        return f"the norm of the gradient is {norm}"
    return None


def save_nonfinite(
    folder: Path,
    fault: str,
    step: int,
    batches: list[Batch],
    rank: int = 0,
    *,
    unpaired: bool = False,
) -> str:
    """Save the batches of a step as ``nonfinite.pt``, replacing the report of an earlier step.

    The file can be loaded with ``torch.load(weights_only=True)``. It holds the step, the fault, and
    the index, references and band of every item.

    Args:
        folder: folder of the run.
        fault: what is wrong, from ``fault``.
        step: the step that failed.
        batches: all batches of the step in this process.
        rank: rank of this process; if not 0, it is added to the file name.
        unpaired: whether unpaired recordings, which are not saved, may be the cause.

    Returns:
        A sentence that names the fault, its cause and the file.
    """
    path = folder / f"nonfinite{f'-{rank}' if rank else ''}.pt"
    damaged = [
        index
        for batch in batches
        for index, references in zip(batch.items, batch.references, strict=True)
        if not references.isfinite().all()
    ]
    state = {
        "fault": fault,
        "step": step,
        "damaged": damaged,
        "items": [index for batch in batches for index in batch.items],
        "references": torch.cat([batch.references for batch in batches]).cpu(),
        "band": [
            band
            for batch in batches
            for band in (
                [math.inf] * len(batch.items) if batch.band is None else batch.band.tolist()
            )
        ],
    }
    if damaged:
        cause = f"items {', '.join(map(str, damaged))} hold samples that are not finite"
    elif unpaired:
        cause = "paired samples are finite; check the unpaired ones, or lower the learning rates"
    else:
        cause = "all samples are finite; lower train.learning_rate"
    try:
        save_checkpoint(path, state)
        kept = f"see {path}"
    except UnmixError as error:  # a full disk must not hide the fault
        kept = str(error)
    return f"{fault} at step {step}: {cause}; {kept}"
