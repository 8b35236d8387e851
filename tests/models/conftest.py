"""Every architecture and every recipe, in its smallest form: a new file arrives already tested."""

import json

import pytest
import torch

from unmix.models import Model, build
from unmix.recipes.reading import recipes
from unmix.training.config import Recipe, read_recipe


def _of_each_model() -> list[str]:
    """Return names of recipes, one for each model: some are later stages of another's training."""
    first: dict[str, str] = {}
    for name, path in sorted(recipes().items()):
        recipe = read_recipe(path)
        model = json.dumps([recipe.architecture, recipe.model, recipe.smoke], sort_keys=True)
        first.setdefault(model, name)
    return list(first.values())


@pytest.fixture(params=_of_each_model())
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(recipes()[request.param])


@pytest.fixture
def smoke_model(recipe: Recipe) -> Model:
    """A model of the recipe with its table [smoke], at random weights."""
    torch.manual_seed(0)
    return build(recipe.architecture, recipe.model | recipe.smoke).eval()
