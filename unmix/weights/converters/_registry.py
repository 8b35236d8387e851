"""One dict of converters: a file for each kind of foreign weights registers itself."""

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
    """Where one tensor of a model comes from."""

    ours: str
    """Name in the model's state."""
    theirs: str
    """Name in the foreign file."""
    change: Callable[[Tensor], Tensor] = _unchanged
    """From their layout to ours."""
    optional: bool = False
    """Whether a file may lack it; the model then keeps the value it was built with."""


@dataclass(frozen=True)
class Converter:
    """How the foreign weights of one architecture are read."""

    what: str
    """What the file is, for messages: "a TensorFlow checkpoint of Spleeter (its .index file)"."""
    read: Callable[[Path], Tensors]
    """Returns the file's tensors by their own names. Never runs code that a file contains.

    Raises ModelError, in a sentence that names the file and says what was expected.
    """
    settings: Callable[[Tensors], dict[str, Any]]
    """Returns the settings of the model that the tensors' shapes tell, such as widths; of the stems
    it may be their number.

    Raises KeyError or IndexError where tensors that every such file has are missing.
    """
    moves: Callable[[Model], list[Move]]
    """Returns where every tensor of a model comes from."""
    ignored: Callable[[str], bool] = lambda name: False
    """Says of a foreign name whether it is of no use here: optimizer slots, say."""
    free: frozenset[str] | None = None
    """The settings that a file may have otherwise than the recipe, such as widths; whatever else
    it tells must be as the recipe has it. None for all, where a file tells everything."""
    files: Callable[[Path], list[Path]] = lambda path: [path]
    """Returns the files that ``read`` reads. Raises ModelError where they are not there."""


_CONVERTERS: dict[str, Converter] = {}


def register_converter(architecture: str, converter: Converter) -> None:
    """File an converter under the architecture that its weights are for."""
    if architecture in _CONVERTERS:
        raise ValueError(f"two converters for {architecture!r}")
    _CONVERTERS[architecture] = converter


def converters() -> Mapping[str, Converter]:
    """Return every converter by its architecture."""
    package = __package__ or ""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f".{module.name}", package)
    return _CONVERTERS
