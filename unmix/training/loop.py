"""The training loop: draw, mix, mask, compare, step. One page, to be read from top to bottom."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from ..errors import ConfigError, UnmixError
from .batches import Batch, batches
from .checkpoint_writer import CheckpointWriter
from .distributed import leave_group, make_fabric
from .nonfinite import save_report
from .optimisation import discard_gradients
from .resume import resume
from .run import Listener, Run, Validator
from .setup import Trainee, set_up

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
    writer = CheckpointWriter(run, trainee, listener)
    try:
        while True:
            if validate and _due(trainee):
                writer.save_last(now=state.step == config.steps)  # whatever comes of scoring
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
    except (KeyboardInterrupt, SystemExit):  # the second is what a signal may raise
        writer.save_interrupted()
        raise


def _step(run: Run, trainee: Trainee, parts: list[Batch]) -> float:
    """Do a step, or leave it out where its loss is no number; return the loss."""
    state, fabric = trainee.state, trainee.fabric
    with state.attempting() as buffers:
        loss, wrong = trainee.gradients(parts)
        if wrong is None:
            with state.advancing():
                trainee.optimizer.step()
            return loss
        unpaired, rank = bool(run.train.semi_supervised), fabric.global_rank
        sentence = save_report(run.out, wrong, state.step + 1, parts, rank, unpaired=unpaired)
        if state.skipped_in_a_row >= run.train.skips:
            raise UnmixError(sentence)
        state.whole = False
        discard_gradients(fabric, trainee.optimizer)
        state.skip(buffers)
        return math.nan


def _due(trainee: Trainee) -> bool:
    """Whether the model is to be scored now: in time, at the end, or where that was cut."""
    step, config = trainee.state.step, trainee.config
    regular = step % config.validate_every == 0 or step == config.steps
    return 0 < step != trainee.state.validated and regular


def _score(trainee: Trainee, validate: Validator, writer: CheckpointWriter) -> dict[str, float]:
    """Score the averaged weights, in the first process, and keep them if they are the best."""
    scores: dict[str, float] = {}
    if trainee.fabric.is_global_zero:
        with trainee.state.averaged() as model:
            scores = validate(model)
    scores = trainee.fabric.broadcast(scores)
    mean = float(np.mean(list(scores.values())))
    if trainee.state.improves(mean):
        writer.save_best()  # before anything holds that they are: an interruption loses nothing
    trainee.state.judge(mean)
    return scores
