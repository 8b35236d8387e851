"""The training loop, on one page, to be read from top to bottom."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from .. import devices
from ..errors import ConfigError, UnmixError
from .batches import Batch, batches
from .checkpoint import CheckpointWriter
from .distributed import leave_group, make_fabric
from .nonfinite import save_nonfinite
from .optimisation import discard_gradients
from .resume import resume
from .run import Listener, Run, Validator
from .setup import Trainee, set_up

__all__ = ["Listener", "Run", "Validator", "train"]


def train(run: Run, listener: Listener, validate: Validator | None = None) -> Path:
    """Train a recipe to its end, from the first step or from the last checkpoint.

    Under torchrun every process calls this function; only the main process validates, writes
    files and calls the listener.

    Args:
        run: what to train.
        listener: called after every step, validation and checkpoint.
        validate: scores the averaged weights every ``validate_every`` steps; the checkpoint with
            the best score is kept.

    Returns:
        Path of the last checkpoint.

    Raises:
        UnmixError: a recipe, corpus or checkpoint cannot be used, or a loss is not finite.
    """
    config = run.train
    if config.needs_scores and validate is None:
        raise ConfigError(
            "train.patience and the schedule `plateau` need folders in train.validation"
        )
    torch.set_flush_denormal(True)  # denormals in silence slow steps several times
    fabric = make_fabric(run.device, config.precision)
    trainee = set_up(run, fabric)
    resume(run, trainee)
    state, leads = trainee.state, fabric.is_global_zero
    stream = batches(
        run,
        state.model,
        fabric.device,
        first=state.step,
        rank=fabric.global_rank,
        processes=fabric.world_size,
    )
    items = config.batch_size * config.accumulate * fabric.world_size
    writer = CheckpointWriter(run, trainee.state, listener)
    try:
        while True:
            if validate and _due(trainee):
                writer.save_last(now=state.step == config.steps)  # in case validation fails
                scores = _score(trainee, validate, writer)
                if leads:
                    listener.validated(state.step, scores)
            done = state.finished(config)
            writer.save_last(now=done)
            if done:
                leave_group()
                return run.last
            learning_rate = state.learning_rate
            loss = _step(run, trainee, [next(stream) for _ in range(config.accumulate)])
            if leads:
                listener.step(state.step, loss, learning_rate, writer.rate * items)
    except (KeyboardInterrupt, SystemExit):  # a signal may raise the latter
        writer.save_interrupted()
        raise
    except RuntimeError as error:
        if fabric.device.type == "cpu" and not devices.is_out_of_memory(error):
            raise  # a fault of the model
        # The weights are on the device, which may not give them back: the last checkpoint stands.
        raise UnmixError(_failed(run, fabric.device, error)) from error


def _failed(run: Run, device: torch.device, error: RuntimeError) -> str:
    """Return the sentence about a device that failed in training, with the remedy."""
    remedy = "use --device cpu"
    if devices.is_out_of_memory(error):
        remedy = "set a smaller train.batch_size and a larger train.accumulate"
    again = f"; --resume goes on from {run.last}" if run.last.exists() else ""
    return f"training stopped: '{device}' failed ({devices.first_line(error)}); {remedy}{again}"


def _step(run: Run, trainee: Trainee, parts: list[Batch]) -> float:
    """Do one step and return its loss, or NaN if it was skipped because it is not finite."""
    state, fabric = trainee.state, trainee.fabric
    with state.attempting() as buffers:
        loss, wrong = trainee.gradients(parts)
        if wrong is None:
            with state.advancing():
                trainee.optimizer.step()
            return loss
        unpaired, rank = bool(run.train.semi_supervised), fabric.global_rank
        sentence = save_nonfinite(run.out, wrong, state.step + 1, parts, rank, unpaired=unpaired)
        if state.skipped_in_a_row >= run.train.skips:
            raise UnmixError(sentence)
        state.whole = False
        discard_gradients(fabric, trainee.optimizer)
        state.skip(buffers)
        return math.nan


def _due(trainee: Trainee) -> bool:
    """Whether to validate now: regularly, at the end, and after an interrupted validation."""
    step, config = trainee.state.step, trainee.config
    regular = step % config.validate_every == 0 or step == config.steps
    return 0 < step != trainee.state.validated and regular


def _score(trainee: Trainee, validate: Validator, writer: CheckpointWriter) -> dict[str, float]:
    """Score the averaged weights in the main process, and save them if they are the best."""
    scores: dict[str, float] = {}
    if trainee.fabric.is_global_zero:
        with trainee.state.averaged() as model:
            scores = validate(model)
    scores = trainee.fabric.broadcast(scores)
    mean = float(np.mean(list(scores.values())))
    if trainee.state.improves(mean):
        writer.save_best()  # before the state says so: an interruption loses nothing
    trainee.state.judge(mean)
    return scores
