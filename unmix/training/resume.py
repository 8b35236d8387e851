"""Going on where a run stopped: with the recipe that its steps were done with, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..config import validate
from ..errors import UnmixError
from ..models import config_type
from .batches import seed_from
from .checkpoint import load_checkpoint
from .config import Recipe, TrainConfig, training_of
from .optimisation import learning_rate_factor
from .run import Run
from .setup import Trainee


def resume(run: Run, trainee: Trainee) -> None:
    """Go on where the last run stopped, if that is wanted; else refuse to write over it.

    Raises:
        UnmixError: for a checkpoint that cannot be gone on from, or is of another recipe; or where
            the folder of the run cannot be one.
    """
    if run.resume:
        _restore(run, trainee)
    elif run.last.exists():
        raise UnmixError(f"{run.last} exists: add --resume to go on, or name another --out")
    for folder in (run.out, *run.out.parents):
        if folder.exists() and not folder.is_dir():
            raise UnmixError(f"{run.out} cannot be the folder of a run: {folder} is a file")


def _restore(run: Run, trainee: Trainee) -> None:
    held = load_checkpoint(run.last)
    try:
        differences = _differences(run, held)
        if differences:
            raise UnmixError(
                f"{run.last} was trained with another recipe: {', '.join(differences)} "
                f"differ{'s' if len(differences) == 1 else ''}; resume with that recipe, or start "
                f"a new run with another --out and --init {run.last}"
            )
        trainee.state.load(held)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UnmixError(
            f"{run.last} is of another recipe or version ({held.get('version')}), no use to go "
            f"on from: {str(error).splitlines()[0]} A new run may start from its weights, "
            f"with --init {run.last}"
        ) from None
    rank = trainee.fabric.global_rank
    if rank:  # a checkpoint holds the random numbers of the first process alone
        torch.manual_seed(seed_from(run.train.seed, trainee.state.step, rank))


def _differences(run: Run, held: Mapping[str, Any]) -> list[str]:
    """Return the keys with which the steps that a checkpoint holds would have been others.

    Both recipes are compared as they are validated: keys that are given their default value, or
    that have come since with one, differ from nothing.
    """
    where = f"{run.last}, its recipe"
    earlier = validate(Recipe, held["recipe"], where)
    if earlier.architecture != run.recipe.architecture:
        return ["architecture"]
    before, now = training_of(earlier, where), run.train
    free = _changeable(before, now, held)
    train = [key for key in _differing(_plain(before), _plain(now)) if key not in free]
    if "steps" in train:
        done = held["step"]
        why = f"fewer than the {done} done" if now.steps < done else "they decide past rates"
        train[train.index("steps")] = f"steps ({why})"
    model = _differing(_model_settings(earlier, where), _model_settings(run.recipe, where))
    return [f"model.{key}" for key in model] + [f"train.{key}" for key in train]


def _changeable(before: TrainConfig, now: TrainConfig, held: Mapping[str, Any]) -> set[str]:
    """Return the keys of [train] that may differ: no step that is done follows from them."""
    free = {"checkpoint_minutes", "patience", "grow"}
    if now.schedule.kind != "plateau":  # which falls by scores
        free |= {"validate_every", "validation"}
    if now.skips >= before.skips:  # whatever was left out would have been left out
        free.add("skips")
    # The end of a run is scored whenever it comes: there a longer run would have gone on unscored.
    validated, _ = held["validated"]
    scored_apart = now.needs_scores and validated % before.validate_every
    rates = (
        learning_rate_factor(step, before) == learning_rate_factor(step, now)
        for step in range(held["step"])
    )
    if now.steps >= held["step"] and not scored_apart and all(rates):
        free.add("steps")
    return free


def _plain(config: TrainConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")


def _model_settings(recipe: Recipe, where: str) -> dict[str, Any]:
    kind = config_type(recipe.architecture)
    return validate(kind, recipe.model, where).model_dump(mode="json")


def _differing(first: Mapping[str, Any], second: Mapping[str, Any], table: str = "") -> list[str]:
    """Return the keys whose values differ, those of tables within with dots."""
    found: list[str] = []
    for key in dict.fromkeys([*first, *second]):
        one, other = first.get(key), second.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += _differing(one, other, f"{table}{key}.")
        elif one != other:
            found.append(f"{table}{key}")
    return found
