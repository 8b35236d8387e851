"""The registry of architectures: a file beside this one registers its own model."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TypeVar

from ..config import validate
from ..errors import ModelError
from ._base import Model, ModelConfig
from ._outline import outline

_MODELS: dict[str, type[Model]] = {}
ModelT = TypeVar("ModelT", bound=Model)


def register(name: str, config: type[ModelConfig]) -> Callable[[type[ModelT]], type[ModelT]]:
    """Return a decorator that registers a model class and its config class under a name."""

    def decorate(model: type[ModelT]) -> type[ModelT]:
        if name in _MODELS:
            raise ValueError(f"architecture {name!r} is registered twice")
        model.Config = config
        _MODELS[name] = model
        return model

    return decorate


def names() -> tuple[str, ...]:
    """Return the names of all architectures, sorted."""
    _discover()
    return tuple(sorted(_MODELS))


def config_type(architecture: str) -> type[ModelConfig]:
    """Return the config class of an architecture."""
    return _find(architecture).Config


def build(
    architecture: str,
    table: object,
    where: str = "model",
    check: Callable[[Model], object] | None = None,
) -> Model:
    """Return an untrained model.

    Args:
        architecture: one of ``names()``.
        table: its settings, a mapping as read from TOML.
        where: the file that the settings come from, for error messages.
        check: called with the model's outline, on torch's meta device, before memory is taken.

    Raises:
        ModelError: the architecture is unknown, or the model is larger than any, or too large for
            this machine.
        ConfigError: a setting is unknown or invalid.
    """
    kind = _find(architecture)
    config = validate(kind.Config, table, where)
    what = f"{where}: the {architecture} that it describes"
    outlined = outline(lambda: kind(config), what)
    if check:
        check(outlined)
    try:
        return kind(config)
    except (MemoryError, RuntimeError) as error:
        # torch has no class of its own for this.
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        raise ModelError(f"{what} does not fit into this machine's memory") from None


def _find(architecture: str) -> type[Model]:
    _discover()
    if architecture not in _MODELS:
        raise ModelError(f"unknown architecture {architecture!r}; choose from {', '.join(names())}")
    return _MODELS[architecture]


def _discover() -> None:
    """Import every file beside this one, so that it registers its model."""
    package = __package__ or ""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f".{module.name}", package)
