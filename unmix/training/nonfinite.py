"""Losses and gradients that are no numbers: told from others, reported, or left out."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from ..errors import UnmixError
from .batches import Batch
from .checkpoint import save_checkpoint


def fault(loss: float, norm: float, scaled: bool) -> str | None:
    """Return what is wrong with a step, in words; None where nothing is.

    Args:
        loss: of the step.
        norm: of its gradient.
        scaled: whether a loss scaler minds the gradient itself.
    """
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    if not math.isfinite(norm) and not scaled:
        return f"the norm of the gradient is {norm}"
    return None


def save_report(
    folder: Path,
    fault: str,
    step: int,
    batches: list[Batch],
    rank: int = 0,
    *,
    unpaired: bool = False,
) -> str:
    """Save the batches of a step as ``nonfinite.pt``, over what an earlier step left there.

    The file holds what ``torch.load`` reads without running code: the step, what is wrong, and of
    every item its index, its references and its band.

    Args:
        folder: of the run.
        fault: what is wrong.
        step: which step would have been done.
        batches: all of this process.
        rank: of this process, which is in the name where it is not the first.
        unpaired: whether unpaired recordings, which are not kept, may be the cause.

    Returns:
        A sentence that says what is wrong and which items it comes from.
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
        cause = f"items {', '.join(map(str, damaged))} hold samples that are no numbers"
    elif unpaired:
        cause = "all samples of pairs are numbers; look at the unpaired, or lower learning rates"
    else:
        cause = "all samples are numbers; lower learning_rate"
    try:
        save_checkpoint(path, state)
        kept = f"see {path}"
    except UnmixError as error:  # a full disk hides nothing of what is wrong
        kept = str(error)
    return f"{fault} at step {step}: {cause}; {kept}"
