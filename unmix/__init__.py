"""Separate the vocals of a song from its accompaniment.

    import unmix

    stems = unmix.separate("song.mp3")
    stems["vocals"], stems["accompaniment"]

A public name is imported when it is first used, so that ``import unmix`` is quick and needs no
torch.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .errors import AudioWarning as AudioWarning
    from .errors import Cancelled as Cancelled
    from .errors import UnmixError as UnmixError
    from .evaluation import evaluate as evaluate
    from .evaluation import evaluate_estimates as evaluate_estimates
    from .songs.karaoke import KaraokeFile as KaraokeFile
    from .songs.karaoke import karaoke as karaoke
    from .songs.separate import SeparatedFile as SeparatedFile
    from .songs.separator import Separator as Separator
    from .songs.separator import separate as separate
    from .weights.load import load_model as load_model
    from .weights.manifest import list_models as list_models

_HOMES = {
    "AudioWarning": "errors",
    "Cancelled": "errors",
    "KaraokeFile": "songs.karaoke",
    "SeparatedFile": "songs.separate",
    "Separator": "songs.separator",
    "UnmixError": "errors",
    "evaluate": "evaluation",
    "evaluate_estimates": "evaluation",
    "karaoke": "songs.karaoke",
    "list_models": "weights.manifest",
    "load_model": "weights.load",
    "separate": "songs.separator",
}

__all__ = [
    "AudioWarning",
    "Cancelled",
    "KaraokeFile",
    "SeparatedFile",
    "Separator",
    "UnmixError",
    "__version__",
    "evaluate",
    "evaluate_estimates",
    "karaoke",
    "list_models",
    "load_model",
    "separate",
]


def __getattr__(name: str) -> object:
    """Import a public name from its room on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f".{_HOMES[name]}", __name__)
    except ModuleNotFoundError as error:
        from .errors import UnmixError, missing_extra

        if sentence := missing_extra(error.name):
            raise UnmixError(sentence) from None
        raise
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def _forget_missing_backend() -> None:
    """Forget a backend of matplotlib that is not installed, before matplotlib is imported.

    Every kernel of Jupyter passes its backend on to the processes that it starts, and matplotlib
    cannot be imported where that is missing. unmix draws into files, with none.
    """
    backend = os.environ.get("MPLBACKEND", "")
    if "matplotlib" in sys.modules or not backend.startswith("module://"):
        return
    try:
        missing = find_spec(backend.removeprefix("module://")) is None
    except (ImportError, ValueError):
        missing = True
    if missing:
        del os.environ["MPLBACKEND"]


_forget_missing_backend()


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
