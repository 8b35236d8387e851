"""A dry run: measure a few steps of a training run, and write nothing."""

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
    """What a run needs, in memory and in time."""

    architecture: str
    stems: tuple[str, ...]
    device: str
    precision: str
    parameters: int
    checkpoint_bytes: int
    """Size of a checkpoint: weights, their average, the optimizer's state, and the initial weights
    if ``start_share`` is set."""
    memory_bytes: int
    """Peak memory, of the CUDA device or else of the process; 0 on Windows, where it is unknown."""
    step_seconds: float
    """Duration of a step without loading, except for the items of critics."""
    item_seconds: float
    """Duration of loading one item in one process."""
    loss: float
    """Loss of the first step."""


def dry_run(run: Run, steps: int = 2) -> DryRun:
    """Do a few steps of a run and measure them; write nothing.

    Args:
        run: the run. Its items are loaded in this process, whatever ``workers`` is.
        steps: number of steps to measure, after one for warm-up. The fastest one counts.
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


def run_seconds(measured: DryRun, run: Run) -> float:
    """Return the estimated duration of all steps of a run in seconds.

    Steps and loading overlap, so the slower one counts; validation and checkpoints come on top.
    """
    items = run.train.batch_size * run.train.accumulate
    loading = items * measured.item_seconds
    step = measured.step_seconds
    each = max(step, loading / run.workers) if run.workers else step + loading
    return each * run.train.steps


def _bytes(held: object) -> int:
    """Return the size of all tensors in a checkpoint."""
    if isinstance(held, torch.Tensor):
        return held.numel() * held.element_size()
    if isinstance(held, dict):
        return sum(map(_bytes, held.values()))
    return sum(map(_bytes, held)) if isinstance(held, list | tuple) else 0


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
