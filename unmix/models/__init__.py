"""Models: one file per architecture, found through the registry."""

from ._base import MaskModel, Model, ModelConfig, SpectrogramConfig, SpectrogramModel
from ._host import own_defaults
from ._registry import build, config_type, names, register

__all__ = [
    "MaskModel",
    "Model",
    "ModelConfig",
    "SpectrogramConfig",
    "SpectrogramModel",
    "build",
    "config_type",
    "names",
    "own_defaults",
    "register",
]
