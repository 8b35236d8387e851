"""Distributed training: several processes, started by torchrun on one or more machines.

Each process computes its own items and gradients are averaged, so that P processes with batches of
B items take the same steps as one process with batches of P * B. Exceptions are dropout, norms that
are not synchronised, and the table ``augment``, which works on the batch of each process. The main
process alone validates, writes files and calls the listener. To resume, every process reads the
last checkpoint, so all machines must share the folder of the run.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import nn

from ..devices import choose_device
from .precision import PrecisionChoice, fabric_precision, precision_plugin

# Other processes wait for the main process while it validates.
_TIMEOUT = timedelta(hours=6)


def launched() -> bool:
    """Whether torchrun started this process."""
    return torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()


def is_main_process() -> bool:
    """Whether this process has rank 0."""
    return not launched() or int(os.environ["RANK"]) == 0


def make_fabric(device: str, precision: PrecisionChoice) -> Fabric:
    """Return the fabric of this process, connected with the other processes if there are any.

    Args:
        device: device type; each process takes one such device of its machine.
        precision: as in ``TrainConfig``.
    """
    chosen = choose_device(device).type
    plugin = precision_plugin(fabric_precision(precision, chosen), chosen)
    processes: dict[str, Any] = {"devices": 1}
    if launched():
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        processes = {
            "devices": here,
            "num_nodes": int(os.environ["WORLD_SIZE"]) // here,
            "strategy": DDPStrategy(timeout=_TIMEOUT),
        }
    accelerator = chosen if device == "auto" else device
    fabric = Fabric(accelerator=accelerator, plugins=[plugin], **processes)
    fabric.launch()
    return fabric


def with_synced_norms(model: nn.Module, fabric: Fabric) -> nn.Module:
    """Return the model with batch norms that are synchronised over all processes.

    Only CUDA supports this; on other devices each process normalises its own batch.
    """
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return synced
    return model


def leave_group() -> None:
    """Wait for all processes, then leave the group: one that exits early could crash."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
