"""Weights that others trained and published, brought into this package's form."""

from ._convert import Converted, convert_weights
from ._registry import Converter, Move, Tensors, converters, register_converter

__all__ = [
    "Converted",
    "Converter",
    "Move",
    "Tensors",
    "convert_weights",
    "converters",
    "register_converter",
]
