"""The smallest model of every recipe, and which recipes stand for all."""

import json
from collections.abc import Collection, Iterable
from functools import cache

import pytest
import torch

from unmix.models import Model, build, config_type
from unmix.recipes.reading import recipes
from unmix.training.config import Recipe, read_recipe


@cache
def read(name: str) -> Recipe:
    return read_recipe(recipes()[name])


@cache
def built(name: str) -> Model:
    """Return a model of a recipe with its table [smoke], at random weights; leave it as it is."""
    recipe = read(name)
    torch.manual_seed(0)
    return build(recipe.architecture, recipe.model | recipe.smoke).eval()


@cache
def of_each_model() -> list[str]:
    """Return names of recipes, one for each model: some are later stages of another's training."""
    first: dict[str, str] = {}
    for name in sorted(recipes()):
        recipe = read(name)
        model = json.dumps([recipe.architecture, recipe.model, recipe.smoke], sort_keys=True)
        first.setdefault(model, name)
    return list(first.values())


@cache
def of_each_part() -> list[str]:
    """Return the fewest of these that have every architecture, block, skip, bottleneck and mask."""
    left = {name: _parts(read(name)) for name in of_each_model()}
    missing, chosen = set().union(*left.values()), []
    while missing:
        best = max(sorted(left), key=lambda name: len(left[name] & missing))
        chosen.append(best)
        missing -= left.pop(best)
    return sorted(chosen)


def _parts(recipe: Recipe) -> set[tuple[str, str]]:
    parts = {("architecture", recipe.architecture)}
    settings = config_type(recipe.architecture)(**(recipe.model | recipe.smoke))
    config = settings.model_dump()
    for key in ("block", "skip", "bottleneck", "mask", "features", "resampling"):
        value = config.get(key)
        if isinstance(value, dict):
            parts |= {(f"{key}.{k}", v) for k, v in value.items() if isinstance(v, str)}
        elif isinstance(value, str):
            parts.add((key, value))
    return {(f"{recipe.architecture}: {kind}", value) for kind, value in parts}


def slow_but(fast: Collection[object], names: Iterable[object]) -> list[object]:
    """Return names, or other values, as parameters; all are marked slow but for some."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


@cache
def of_each_architecture() -> list[str]:
    """Return the first recipe of each architecture."""
    first: dict[str, str] = {}
    for name in sorted(recipes()):
        first.setdefault(read(name).architecture, name)
    return list(first.values())
