"""The recipes that come with the package: each an architecture, its settings, how to train it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..config import read_toml
from ..errors import ConfigError


@dataclass(frozen=True)
class ArchitectureChoice:
    """What a recipe says of the model alone."""

    architecture: str
    model: dict[str, Any]
    """Its settings."""


def recipes() -> dict[str, Path]:
    """Return the path of every recipe in ``unmix/recipes``, by name, sorted."""
    folder = Path(str(files(__package__)))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_recipe(name: str) -> Path:
    """Return the file of a recipe: a path to one, or the name of one that comes with the package.

    Raises:
        ConfigError: listing the names there are.
    """
    if name.endswith(".toml"):
        return Path(name)
    if name not in recipes():
        raise ConfigError(
            f"unknown recipe {name!r}; choose from {', '.join(recipes())}, or name a .toml file"
        )
    return recipes()[name]


def find_architecture(name: str) -> ArchitectureChoice:
    """Return the architecture and the settings of a recipe, by its name or file.

    The name of an architecture will do where one recipe alone has it.

    Raises:
        ConfigError: listing the names there are.
    """
    if name not in recipes() and not name.endswith(".toml"):
        having = [r for r, path in recipes().items() if read_toml(path)["architecture"] == name]
        if len(having) > 1:
            raise ConfigError(f"{name} comes in several forms; choose from {', '.join(having)}")
        name = having[0] if having else name
    path = find_recipe(name)
    tables = read_toml(path)
    if not isinstance(tables.get("architecture"), str):
        raise ConfigError(f"{path}: names no architecture")
    return ArchitectureChoice(tables["architecture"], tables.get("model", {}))
