"""The recipes that come with the package, by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ..errors import ConfigError


def recipes() -> dict[str, Path]:
    """Return the path of every recipe in ``unmix/configs``, by name, sorted."""
    folder = Path(str(files(f"{__package__.rpartition('.')[0]}.configs")))
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
