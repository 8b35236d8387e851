"""Every architecture and every recipe, in its smallest form: a new file arrives already tested."""

import pytest
import torch

from unmix.models import Model, build
from unmix.recipes import recipes
from unmix.training.config import Recipe, read_recipe


@pytest.fixture(params=sorted(recipes()))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(recipes()[request.param])


@pytest.fixture
def smoke_model(recipe: Recipe) -> Model:
    """A model of the recipe with its table [smoke], at random weights."""
    torch.manual_seed(0)
    return build(recipe.architecture, recipe.model | recipe.smoke).eval()
