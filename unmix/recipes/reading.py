"""The recipes of the package, and how a recipe is read: over the one that it extends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..config import read_toml
from ..errors import ConfigError

_FOLDER = Path(str(files(__package__)))


@dataclass(frozen=True)
class ArchitectureChoice:
    """The part of a recipe that builds a model."""

    architecture: str
    model: dict[str, Any]
    """The settings of the model."""


def recipes() -> dict[str, Path]:
    """Return the files of the package's recipes by name, sorted.

    A file whose name starts with ``_`` is left out: it is only there for others to extend.
    """
    return {path.stem: path for path in sorted(_FOLDER.glob("[!_]*.toml"))}


def find_recipe(name: str) -> Path:
    """Return the file of a recipe, given its name in the package or the path of a .toml file.

    Raises:
        ConfigError: if the package has no such recipe; lists those it has.
    """
    if name.endswith(".toml"):
        return Path(name)
    if name not in recipes():
        raise ConfigError(
            f"unknown recipe {name!r}; choose from {', '.join(recipes())}, or name a .toml file"
        )
    return recipes()[name]


def find_architecture(name: str) -> ArchitectureChoice:
    """Return the architecture and model settings of a recipe, given its name or file.

    The name of an architecture also works if exactly one recipe of the package uses it.

    Raises:
        ConfigError: if there is no such recipe, or several use the architecture.
    """
    if name not in recipes() and not name.endswith(".toml"):
        using = [
            recipe
            for recipe, path in recipes().items()
            if read_recipe_tables(path)["architecture"] == name
        ]
        if len(using) > 1:
            listed = ", ".join(using)
            raise ConfigError(f"{name} has several recipes; choose from {listed}")
        name = using[0] if using else name
    path = find_recipe(name)
    tables = read_recipe_tables(path)
    if not isinstance(tables.get("architecture"), str):
        raise ConfigError(f"{path}: has no key `architecture`")
    return ArchitectureChoice(tables["architecture"], tables.get("model", {}))


def read_recipe_tables(path: Path) -> dict[str, Any]:
    """Return the tables of a recipe, merged over those of the recipe that it extends.

    ``extends`` is the name of a recipe of the package, or the path of a .toml file relative to
    this one. Tables merge key by key; any other value, a list too, replaces the inherited one.

    Raises:
        ConfigError: if a file is missing or malformed, or recipes extend each other in a circle.
    """
    lineage = [path]
    tables = read_toml(path)
    while "extends" in tables:
        parent = _parent(lineage[-1], tables.pop("extends"))
        lineage.append(parent)
        if parent.resolve() in [file.resolve() for file in lineage[:-1]]:
            circle = " extends ".join(map(str, lineage))
            raise ConfigError(f"{circle}: a recipe cannot extend itself")
        tables = _merged(read_toml(parent), tables)
    return tables


def resolved_text(path: Path) -> str:
    """Return a recipe as TOML that extends nothing, under the comment that opens its file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    opening = takewhile(lambda line: line.startswith("#"), lines)
    return "\n".join([*opening, "", *_toml(read_recipe_tables(path))]) + "\n"


def _parent(path: Path, name: object) -> Path:
    """Return the file of the recipe that the one in ``path`` extends."""
    if not isinstance(name, str):
        raise ConfigError(f"{path}: extends: expected the name of one recipe")
    parent = path.parent / name if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not parent.is_file():
        choices = f"choose from {', '.join(recipes())}, or name a .toml file beside it"
        raise ConfigError(f"{path}: extends {name!r}, which does not exist; {choices}")
    return parent


def _merged(inherited: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = inherited | own
    for key in inherited.keys() & own.keys():
        if isinstance(inherited[key], dict) and isinstance(own[key], dict):
            merged[key] = _merged(inherited[key], own[key])
    return merged


def _toml(table: dict[str, Any], name: str = "") -> Iterator[str]:
    """Yield the lines of a table."""
    own = [f"{key} = {_value(v)}" for key, v in table.items() if not isinstance(v, dict)]
    if name and (own or not table):
        yield from ("", f"[{name}]")
    yield from own
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml(value, f"{name}.{key}" if name else key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_value(v)}' for key, v in value.items())} }}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "".join(["[\n", *(f"  {_value(item)},\n" for item in value), "]"])
    return json.dumps(value, ensure_ascii=False)  # JSON's numbers, strings and lists are TOML's too
