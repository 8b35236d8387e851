"""The registry of converters: a file for each kind of foreign weights registers itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ...models import Model

Tensors = dict[str, Tensor]


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Move:
    """Origin of one tensor of a model."""

    ours: str
    """Name in the model's state."""
    theirs: str
    """Name in the foreign file."""
    change: Callable[[Tensor], Tensor] = _unchanged
    """Changes their layout to ours."""
    optional: bool = False
    """Whether a file may lack it; the model then keeps its initial value."""


@dataclass(frozen=True)
class Converter:
    """How foreign weights of one architecture are read."""

    what: str
    """What the file is, for messages: "a TensorFlow checkpoint of Spleeter (its .index file)"."""
    read: Callable[[Path], Tensors]
    """Returns the file's tensors by their own names, without running code from the file.

    Raises ModelError; the message names the file and what was expected.
    """
    settings: Callable[[Tensors], dict[str, Any]]
    """Returns the settings that follow from the tensors' shapes, such as widths; for the stems,
    possibly only their number.

    Raises KeyError, IndexError or ValueError if tensors are missing that every such file has.
    """
    moves: Callable[[Model], list[Move]]
    """Returns the origin of each tensor of a model."""
    ignored: Callable[[str], bool] = lambda name: False
    """Returns whether a foreign tensor is not needed, such as those of the optimizer."""
    free: frozenset[str] | None = None
    """Settings in which a file may differ from the recipe, such as widths; all others that it
    tells must agree. None: it may differ in all."""
    package: str = ""
    """Optional package that reading the file or building the model needs."""
    files: Callable[[Path], list[Path]] = lambda path: [path]
    """Returns the files that ``read`` reads. Raises ModelError if there are none."""


_CONVERTERS: dict[str, Converter] = {}


def register_converter(architecture: str, converter: Converter) -> None:
    """Register the converter of an architecture."""
    if architecture in _CONVERTERS:
        raise ValueError(f"two converters for {architecture!r}")
    _CONVERTERS[architecture] = converter


def converters() -> Mapping[str, Converter]:
    """Return the converters by architecture."""
    package = __package__ or ""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f".{module.name}", package)
    return _CONVERTERS
