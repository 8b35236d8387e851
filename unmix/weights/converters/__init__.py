"""Converters of weights that others trained, one file for each kind."""

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
