"""The training loop: draw, mix, mask, compare, step. One page, to be read from top to bottom."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch

from ..errors import ConfigError, UnmixError
from .batches import Batch, batches
from .checkpoint import save_checkpoint
from .distributed import make_fabric
from .nonfinite import fault, report
from .optimisation import leave_out, scales_losses
from .preparation import Trainee, prepare, take_up
from .run import Listener, Run, Validator

__all__ = ["Listener", "Run", "Validator", "train"]


def train(run: Run, listener: Listener, validate: Validator | None = None) -> Path:
    """Train a recipe from its first step, or from the last checkpoint, to the end.

    Where torchrun has started several processes, each of them calls this; the first one alone
    validates, writes, and tells the listener.

    Args:
        run: what to train, from what, to where.
        listener: is told of every step, score and checkpoint.
        validate: scores the averaged weights every ``validate_every`` steps; the best are kept.

    Returns:
        The last checkpoint.

    Raises:
        UnmixError: for a recipe, corpus or checkpoint that cannot be used, or a loss that is no
            number.
    """
    config = run.train
    if config.needs_scores and validate is None:
        raise ConfigError("patience and the schedule `plateau` need tracks in train.validation")
    torch.set_flush_denormal(True)  # silent passages make a step several times slower otherwise
    fabric = make_fabric(run.device, config.precision)
    trainee = prepare(run, fabric)
    take_up(run, trainee)
    state, leads = trainee.state, fabric.is_global_zero
    stream = batches(
        run,
        state.model,
        fabric.device,
        first=state.step,
        rank=fabric.global_rank,
        processes=fabric.world_size,
    )
    first, items = state.step, config.batch_size * config.accumulate * fabric.world_size
    saved_at = began = time.monotonic()
    earlier = state.seconds
    try:
        while True:
            if validate and _due(trainee):
                scores, better = _score(trainee, validate)
                if leads:
                    listener.validated(state.step, scores)
                if leads and better:
                    save_checkpoint(run.best, state.dump(run.recipe))
            state.seconds = earlier + time.monotonic() - began
            done = state.finished(config)
            late = time.monotonic() - saved_at > 60 * config.checkpoint_minutes
            if leads and state.step > first and (done or late):
                save_checkpoint(run.last, state.dump(run.recipe))
                listener.saved(run.last)
                saved_at = time.monotonic()
            if done:
                return run.last
            loss = _step(run, trainee, [next(stream) for _ in range(config.accumulate)])
            if leads:
                rate = (state.step - first) * items / (time.monotonic() - began)
                listener.step(state.step, loss, state.learning_rate, rate)
    except KeyboardInterrupt:
        if leads and state.whole and state.step > first:
            save_checkpoint(run.last, state.dump(run.recipe))
        raise


def _step(run: Run, trainee: Trainee, parts: list[Batch]) -> float:
    """Do a step, or leave it out where its loss is no number; return the loss."""
    state, fabric = trainee.state, trainee.fabric
    buffers = [buffer.clone() for buffer in state.model.buffers()] if run.train.skips else []
    loss, norm = trainee.gradients(parts)
    wrong = fault(loss, norm, scales_losses(fabric))
    if wrong is None:
        with state.advancing():
            trainee.optimizer.step()
        return loss
    sentence = report(run.out, wrong, state.step + 1, parts, fabric.global_rank)
    if state.skipped_in_a_row >= run.train.skips:
        raise UnmixError(sentence)
    leave_out(fabric, trainee.optimizer)
    state.skip(buffers)
    return math.nan


def _due(trainee: Trainee) -> bool:
    """Whether the model is to be scored now: in time, at the end, or where that was cut."""
    step, config = trainee.state.step, trainee.config
    regular = step % config.validate_every == 0 or step == config.steps
    return 0 < step != trainee.state.validated and regular


def _score(trainee: Trainee, validate: Validator) -> tuple[dict[str, float], bool]:
    """Score the averaged weights, in the first process; return whether they are the best so far."""
    scores: dict[str, float] = {}
    if trainee.fabric.is_global_zero:
        with trainee.state.averaged() as model:
            scores = validate(model)
    scores = trainee.fabric.broadcast(scores)
    return scores, trainee.state.judge(float(np.mean(list(scores.values()))))
