"""Every architecture and every recipe, in its smallest form: a new file arrives already tested."""

import copy

import pytest
from smoke import built, of_each_model, read

from unmix.models import Model
from unmix.training.config import Recipe


@pytest.fixture(scope="session", params=of_each_model())
def recipe_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def recipe(recipe_name: str) -> Recipe:
    return read(recipe_name)


@pytest.fixture
def smoke_model(recipe_name: str) -> Model:
    """The smallest model of the recipe: a copy, since tests and separators change it."""
    return copy.deepcopy(built(recipe_name))
