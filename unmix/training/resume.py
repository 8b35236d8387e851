"""Resuming a run from its last checkpoint, with the recipe it was started with."""

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
    """Restore the last checkpoint if ``run.resume`` is set; otherwise refuse to overwrite one.

    Raises:
        UnmixError: the checkpoint cannot be read, belongs to another recipe, or exists already; or
            the folder of the run is a file.
    """
    if run.resume:
        _restore(run, trainee)
    elif run.last.exists():
        raise UnmixError(
            f"{run.last} exists already: add --resume to continue, or choose another --out"
        )
    for folder in (run.out, *run.out.parents):
        if folder.exists() and not folder.is_dir():
            raise UnmixError(f"{run.out}: the folder cannot be created, because {folder} is a file")


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
            f"{run.last} cannot be resumed: it is from another recipe or version "
            f"({held.get('version')}): {str(error).splitlines()[0]} To start a new run from its "
            f"weights, use --init {run.last}"
        ) from None
    rank = trainee.fabric.global_rank
    if rank:  # a checkpoint holds the random state of the main process alone
        torch.manual_seed(seed_from(run.train.seed, trainee.state.step, rank))


def _differences(run: Run, held: Mapping[str, Any]) -> list[str]:
    """Return the recipe keys that differ and that the steps of the checkpoint depend on.

    Validated recipes are compared: a key set to its default equals a missing key, also one that a
    later version has added.
    """
    where = f"{run.last}: recipe"
    earlier = validate(Recipe, held["recipe"], where)
    if earlier.architecture != run.recipe.architecture:
        return ["architecture"]
    before, now = training_of(earlier, where), run.train
    free = _changeable(before, now, held)
    train = [key for key in _differing(_plain(before), _plain(now)) if key not in free]
    if "steps" in train:
        done = held["step"]
        why = f"fewer than the {done} done" if now.steps < done else "learning rates depend on it"
        train[train.index("steps")] = f"steps ({why})"
    model = _differing(_model_settings(earlier, where), _model_settings(run.recipe, where))
    return [f"model.{key}" for key in model] + [f"train.{key}" for key in train]


def _changeable(before: TrainConfig, now: TrainConfig, held: Mapping[str, Any]) -> set[str]:
    """Return the keys of [train] that may change, because no step so far depends on them."""
    free = {"checkpoint_minutes", "patience", "grow"}
    if now.schedule.kind != "plateau":  # which depends on scores
        free |= {"validate_every", "validation"}
    if now.skips >= before.skips:  # every skipped step would still be skipped
        free.add("skips")
    # The last step is always validated; in a longer run that step would not have been.
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
    """Return the keys with different values; nested keys are joined by dots."""
    found: list[str] = []
    for key in dict.fromkeys([*first, *second]):
        one, other = first.get(key), second.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += _differing(one, other, f"{table}{key}.")
        elif one != other:
            found.append(f"{table}{key}")
    return found
