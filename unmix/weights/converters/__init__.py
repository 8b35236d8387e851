"""Weights that others trained and published, brought into this package's form."""

from ._convert import Imported, import_weights
from ._registry import Importer, Move, Tensors, importers, register_importer

__all__ = [
    "Imported",
    "Importer",
    "Move",
    "Tensors",
    "import_weights",
    "importers",
    "register_importer",
]
