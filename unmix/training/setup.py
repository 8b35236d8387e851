"""Setup of a run before its first step: model, optimizer, objective and their state."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor

from ..errors import ModelError, UnmixError
from ..models import Model, build
from ..weights.load import load_model
from .adversary import Adversary, LogEstimator
from .augment import augment, band_after
from .average import MovingAverage
from .batches import Batch, seed_from
from .config import TrainConfig
from .distributed import is_main_process, with_synced_norms
from .growing import grow
from .nonfinite import fault
from .objective import Estimator, Objective, residual_row
from .optimisation import Schedule, build_optimizer, limit_gradients, scales_losses
from .run import Run
from .state import State

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trainee:
    """A model in training, with its state, optimizer and objective."""

    fabric: Fabric
    config: TrainConfig
    state: State
    network: Any
    """The trained part of the model, wrapped by fabric."""
    optimizer: Any
    """Wrapped by fabric."""
    objective: Objective | Adversary

    def gradients(self, batches: list[Batch]) -> tuple[float, str | None]:
        """Compute the gradient of the mean loss over batches.

        Returns:
            The mean loss over all processes; and what is not finite (that loss, its gradient, or
            those of the critics) as a text, None if all is well.
        """
        total = torch.zeros((), device=self.fabric.device)
        wrong = None
        if isinstance(self.objective, Adversary):
            self.state.whole = False  # until the separator has made its step too
            wrong = self.objective.train_critics(self.network, self.state.step)
        self.optimizer.zero_grad()
        for count, batch in enumerate(batches, 1):
            with self.fabric.no_backward_sync(self.network, enabled=count < len(batches)):
                loss = self._loss(batch)
                self.fabric.backward(loss / len(batches))
            total += loss.detach() / len(batches)
        norm = limit_gradients(self.fabric, self.network, self.optimizer, self.config.clip_norm)
        mean = self.fabric.all_reduce(total, reduce_op="mean")
        assert isinstance(mean, Tensor)
        scaled = scales_losses(self.fabric)
        return float(mean), wrong or fault(float(mean), float(norm), scaled)

    def _loss(self, batch: Batch) -> Tensor:
        batch = self._augmented(batch)
        return self.objective(self.network, batch.references, batch.band)

    def _augmented(self, batch: Batch) -> Batch:
        """Return the batch with random augmentations, which depend on its items alone.

        The generator is on the CPU, so that every device gets the same augmentations.
        """
        model, config = self.state.model, self.config
        generator = torch.Generator().manual_seed(seed_from(config.seed, batch.items[0]))
        names = (*model.stems, residual_row(model.stems))[: batch.references.shape[1]]
        return replace(
            batch,
            references=augment(
                batch.references, names, model.sample_rate, config.augment, generator
            ),
            band=None if batch.band is None else band_after(batch.band, config.augment),
        )


def set_up(run: Run, fabric: Fabric) -> Trainee:
    """Return a model with all that its training needs, before its first step.

    Raises:
        UnmixError: the recipe is not valid, or the weights of ``run.init`` do not fit it.
    """
    config = run.train
    fabric.seed_everything(config.seed, verbose=False)
    model = build(run.recipe.architecture, run.recipe.model, "the recipe's table [model]")
    if run.init:
        _start_from(run.init, model, growing=config.grow)
    elif not run.resume and is_main_process():
        _warn_of_random(config)
    with_synced_norms(model, fabric)
    model.to(memory_format=torch.channels_last).to(fabric.device)
    model.train()
    optimizer = build_optimizer(model.parameters(), config)
    objective: Objective | Adversary
    if config.semi_supervised:
        objective = adversary = Adversary(run, model, fabric)
        estimator: Any = LogEstimator(model)
        further = adversary.parts
    else:
        objective = Objective(model, config.loss, fabric.device)
        estimator, further = Estimator(model), {}
    if config.compile:
        estimator = torch.compile(estimator)
    network, wrapped = fabric.setup(estimator, optimizer)
    state = State(
        model,
        MovingAverage(model, config.ema, config.start_share),
        wrapped,
        Schedule(optimizer, config),
        fabric.strategy.precision,
        further,
    )
    if fabric.global_rank:  # each process has its own dropout
        torch.manual_seed(seed_from(config.seed, 0, fabric.global_rank))
    return Trainee(fabric, config, state, network, wrapped, objective)


def _warn_of_random(config: TrainConfig) -> None:
    """Warn if a recipe that extends trained weights starts from random ones."""
    if config.grow:
        _log.warning(
            "the recipe grows a smaller network, but without --init it starts from random weights"
        )
    if config.start_share:
        _log.warning(
            "start_share keeps a share of the initial weights, which are random without --init"
        )


def _start_from(init: str, model: Model, *, growing: bool) -> None:
    """Load the weights of a model with the same architecture or, if ``growing``, a smaller one."""
    source = load_model(init)
    try:
        if growing:
            grow(source, model)
        else:
            model.load_state_dict(source.state_dict(), strict=True)
    except (RuntimeError, ModelError) as error:
        smaller = " or narrower, or with fewer TFC-TDF layers or stems" if growing else ""
        reason = str(error).splitlines()[-1].strip()
        raise UnmixError(
            f"{init}: the weights do not fit the recipe: {reason.removesuffix('.')}; give --init a "
            f"model with the same settings{smaller}"
        ) from None
