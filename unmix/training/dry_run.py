"""A run before it is one: a few steps that are measured, and nothing that is kept."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

import torch

from .batches import batches
from .distributed import make_fabric
from .run import Run
from .setup import set_up


@dataclass(frozen=True)
class DryRun:
    """What a run would take."""

    architecture: str
    stems: tuple[str, ...]
    device: str
    precision: str
    parameters: int
    checkpoint_bytes: int
    """Of one checkpoint: weights, their average, what the optimizer keeps, and the start if it has
    a share."""
    memory_bytes: int
    """The most that was held at once: of the device's memory on CUDA, else of the process. 0 on
    Windows."""
    step_seconds: float
    """Of the forward and backward passes and the optimizer, without loading; that of what critics
    listen to is in it."""
    item_seconds: float
    """To load one item, in one process."""
    loss: float
    """Of the first step."""


def dry_run(run: Run, steps: int = 2) -> DryRun:
    """Do a few steps of a run, one more than are measured; write nothing.

    Args:
        run: what would be trained. Items are loaded in this process, whatever ``workers`` says.
        steps: how many to measure; the fastest counts, as other work only slows.
    """
    config = run.train
    torch.set_flush_denormal(True)
    fabric = make_fabric(run.device, config.precision)
    alone = replace(run, workers=0, train=config.model_copy(update={"steps": steps + 1}))
    trainee = set_up(alone, fabric)
    stream = batches(alone, trainee.state.model, fabric.device)
    loading, stepping, losses = [], [], []
    for _ in range(steps + 1):
        began = time.perf_counter()
        parts = [next(stream) for _ in range(config.accumulate)]
        loaded = time.perf_counter()
        losses.append(trainee.gradients(parts)[0])
        trainee.optimizer.step()
        trainee.state.average.update(trainee.state.model)
        _wait(fabric.device)
        stepping.append(time.perf_counter() - loaded)
        loading.append((loaded - began) / (config.batch_size * config.accumulate))
    return DryRun(
        architecture=run.recipe.architecture,
        stems=trainee.state.model.stems,
        device=str(fabric.device),
        precision=getattr(fabric.strategy.precision, "precision", "32-true"),
        parameters=sum(p.numel() for p in trainee.state.model.parameters()),
        checkpoint_bytes=_bytes(trainee.state.dump(run.recipe)),
        memory_bytes=_memory(fabric.device),
        step_seconds=min(stepping[1:]),
        item_seconds=min(loading[1:]),
        loss=losses[0],
    )


def run_seconds(rehearsal: DryRun, run: Run) -> float:
    """Return how long all steps of a run would take: the slower of steps and loading counts.

    Validation and checkpoints come on top.
    """
    items = run.train.batch_size * run.train.accumulate
    loading = items * rehearsal.item_seconds
    step = rehearsal.step_seconds
    each = max(step, loading / run.workers) if run.workers else step + loading
    return each * run.train.steps


def _bytes(held: object) -> int:
    """Return the size of all tensors in what a checkpoint holds."""
    if isinstance(held, torch.Tensor):
        return held.numel() * held.element_size()
    if isinstance(held, dict):
        return sum(map(_bytes, held.values()))
    return sum(map(_bytes, held)) if isinstance(held, list | tuple) else 0


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0  # nobody says
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
