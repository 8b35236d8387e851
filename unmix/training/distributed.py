"""Training in several processes, on one machine or many, as torchrun starts them.

Each process computes its own items; the gradients are averaged, so that P processes with batches of
B items make the steps of one process with batches of P * B. What each process draws or counts for
itself differs: dropout, norms where they are not joint, and the table ``augment``, whose chance
goes by batch and whose remixing stays within one. The first process alone validates, writes and
tells. To go on with a run, every process reads its last checkpoint: machines must share the run's
folder.
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

# The others wait for the first while it validates on whole tracks.
_PATIENCE = timedelta(hours=6)


def launched() -> bool:
    """Whether torchrun has started this process."""
    return torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()


def is_main_process() -> bool:
    """Whether this process is the first of all."""
    return not launched() or int(os.environ["RANK"]) == 0


def make_fabric(device: str, precision: PrecisionChoice) -> Fabric:
    """Return what moves tensors and steps of this process, joined with the others there are.

    Args:
        device: kind of it; every process takes one of its machine's.
        precision: as in ``TrainConfig``.
    """
    plugin = precision_plugin(fabric_precision(precision, device), choose_device(device).type)
    processes: dict[str, Any] = {"devices": 1}
    if launched():
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        processes = {
            "devices": here,
            "num_nodes": int(os.environ["WORLD_SIZE"]) // here,
            "strategy": DDPStrategy(timeout=_PATIENCE),
        }
    fabric = Fabric(accelerator=device, plugins=[plugin], **processes)
    fabric.launch()
    return fabric


def with_joint_norms(model: nn.Module, fabric: Fabric) -> nn.Module:
    """Return the network whose batch normalisation sees the batches of all processes.

    Only CUDA devices can; on others each process normalises by its own batch.
    """
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        joint: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return joint
    return model


def leave_group() -> None:
    """End the talk between processes, once all are done; a process that just left could crash."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
