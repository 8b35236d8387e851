"""The training loop: draw, mix, mask, compare, step. One page, to be read from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from ..data import RandomMixtures, open_corpus
from ..errors import ConfigError, UnmixError
from ..frontends import STFT
from ..models import Model, SpectrogramModel, build
from ..stems import ACCOMPANIMENT, VOCALS
from ..weights import load_model
from .average import MovingAverage
from .checkpoint import load_checkpoint, save_checkpoint
from .config import Recipe, TrainConfig
from .losses import band_weight, separation_loss
from .precision import choose_precision
from .state import State

# Samples of the windows under which the loss sees a model that has no frames of its own.
_JUDGED_N_FFT = 2048


class Listener(Protocol):
    """Whom the loop tells what happens; the command line draws a progress bar with it."""

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        """Step ``step`` is done."""

    def validated(self, step: int, scores: dict[str, float]) -> None:
        """The averaged weights have been scored, in dB by stem."""

    def saved(self, path: Path) -> None:
        """A checkpoint was written."""


class Validator(Protocol):
    """Scores a model on whole tracks."""

    def __call__(self, model: Model) -> dict[str, float]:
        """Return scores in dB by stem."""


@dataclass(frozen=True)
class Run:
    """Where a run reads and writes, and on what it computes."""

    recipe: Recipe
    train: TrainConfig
    data: Path
    """Folder that the recipe's paths are relative to."""
    out: Path
    """Folder for checkpoints and logs."""
    workers: int = 2
    device: str = "auto"
    resume: bool = False
    init: str | None = None
    """Model whose weights to start from, by name or path; random ones where not given."""

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.out / "last.ckpt"

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation score."""
        return self.out / "best.ckpt"


def train(run: Run, listener: Listener, validate: Validator | None = None) -> Path:
    """Train a recipe from its first step, or from the last checkpoint, to the end.

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
    torch.set_flush_denormal(True)  # silent passages make a step several times slower otherwise
    fabric = Fabric(
        accelerator=run.device, devices=1, precision=choose_precision(config.precision, run.device)
    )
    fabric.seed_everything(config.seed, verbose=False)
    state, model, optimizer = _prepare(run, fabric)
    batches = _batches(run, state.model, state.step, fabric)
    saved_at = began = time.monotonic()
    first = state.step
    try:
        for references, band in batches:
            loss = _loss(model, state.model, references, band, config)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise UnmixError(
                    f"the loss is {value} at step {state.step + 1}; lower learning_rate"
                )
            optimizer.zero_grad()
            fabric.backward(loss)
            fabric.clip_gradients(
                model, optimizer, max_norm=config.clip_norm, error_if_nonfinite=False
            )
            with state.advancing():
                optimizer.step()

            rate = (state.step - first) * config.batch_size / (time.monotonic() - began)
            listener.step(state.step, value, state.learning_rate, rate)
            done = state.step == config.steps
            if validate and (done or state.step % config.validate_every == 0):
                scores = _validate(validate, state)
                listener.validated(state.step, scores)
                if state.improves(float(np.mean(list(scores.values())))):
                    save_checkpoint(run.best, state.dump(run.recipe))
            if done or time.monotonic() - saved_at > 60 * config.checkpoint_minutes:
                save_checkpoint(run.last, state.dump(run.recipe))
                listener.saved(run.last)
                saved_at = time.monotonic()
    except KeyboardInterrupt:
        if state.whole and state.step > first:
            save_checkpoint(run.last, state.dump(run.recipe))
        raise
    return run.last


def _prepare(run: Run, fabric: Fabric) -> tuple[State, Any, Any]:
    """Return what changes from step to step, at the first or where the last run stopped.

    The second and the third are the model and the optimizer as fabric wraps them.
    """
    config = run.train
    built = build(run.recipe.architecture, run.recipe.model, "the recipe's table [model]")
    if not set(built.stems) <= {VOCALS, ACCOMPANIMENT}:
        raise ConfigError(
            f"{run.recipe.architecture}: only vocals and accompaniment can be trained yet, "
            f"not {', '.join(built.stems)}"
        )
    if run.init and not run.resume:
        _copy_weights(load_model(run.init), built)
    plain = built.to(memory_format=torch.channels_last).to(fabric.device)
    plain.train()
    model, optimizer = fabric.setup(
        plain,
        AdamW(plain.parameters(), config.learning_rate, weight_decay=config.weight_decay),
    )
    if isinstance(plain, SpectrogramModel):
        model.mark_forward_method("estimate_frames")
    schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step, config))
    state = State(plain, MovingAverage(plain, config.ema), optimizer, schedule)
    if run.resume:
        state.load(load_checkpoint(run.last))
    elif run.last.exists():
        raise UnmixError(f"{run.last} exists: add --resume to go on, or name another --out")
    return state, model, optimizer


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Return the learning rate's factor: a linear rise, a plateau, a linear fall to zero."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    falling = config.steps * config.decay_from
    if step < falling:
        return 1.0
    return max(0.0, (config.steps - step) / (config.steps - falling))


def _copy_weights(source: Model, model: Model) -> None:
    """Start a model from another's weights; both must be built alike."""
    try:
        model.load_state_dict(source.state_dict(), strict=True)
    except RuntimeError as error:
        raise UnmixError(f"the weights to start from do not fit the recipe: {error}") from None


def _batches(run: Run, model: Model, first: int, fabric: Fabric) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield references ``[B, 2, C, N]`` and bands ``[B]`` from step ``first`` to the last.

    The references are the vocals and the accompaniment, with the context that the model consumes.
    """
    config = run.train
    items = RandomMixtures(
        [open_corpus(corpus, run.data) for corpus in config.corpora],
        config.mixing,
        sample_rate=model.sample_rate,
        channels=model.audio_channels,
        length=(config.excerpt or model.chunk) + 2 * model.context,
        seed=config.seed,
        items=config.steps * config.batch_size,
    )
    # Items depend on their index alone, so a resumed run takes up the stream at the exact item.
    loader = DataLoader(
        items,
        batch_size=config.batch_size,
        sampler=range(first * config.batch_size, config.steps * config.batch_size),
        num_workers=run.workers,
        persistent_workers=False,
        prefetch_factor=4 if run.workers else None,
        pin_memory=fabric.device.type == "cuda",
        # Its own: drawing from torch's would move the stream that a checkpoint has to restore.
        generator=torch.Generator(),
        # Forked workers would inherit torch's threads and locks.
        multiprocessing_context="spawn" if run.workers else None,
    )
    for batch in loader:
        yield (
            batch["references"].to(fabric.device, non_blocking=True),
            batch["band"].to(fabric.device, non_blocking=True),
        )


def _loss(
    model: Any, plain: Model, references: Tensor, band: Tensor, config: TrainConfig
) -> Tensor:
    mixture = references.sum(1)
    inner = slice(plain.context, references.shape[-1] - plain.context)
    wanted = references[..., inner]  # [B, 2, C, N]: vocals, accompaniment
    if plain.stems[0] == ACCOMPANIMENT:
        wanted = wanted.flip(1)
    if not config.loss.accompaniment:
        wanted = wanted[:, : len(plain.stems)]
    if isinstance(plain, SpectrogramModel):
        stft, frames = plain.stft, plain.stft(mixture)
        estimates = model.estimate_frames(frames)
    else:  # a model of samples is judged on frames too, so that bands can be left out
        stft = STFT(_JUDGED_N_FFT, _JUDGED_N_FFT // 4).to(mixture.device)
        frames, estimates = stft(mixture[..., inner]), stft(model(mixture))
    weight = band_weight(band, stft, plain.sample_rate)
    return separation_loss(estimates, wanted, frames, weight, stft, config.loss)


def _validate(validate: Validator, state: State) -> dict[str, float]:
    """Score the averaged weights in the model's place, and put its own back."""
    model = state.model
    own = {name: value.detach().clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state.average.state)
    model.eval()
    try:
        return validate(model)
    finally:
        model.load_state_dict(own)
        model.train()
