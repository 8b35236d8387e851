"""librosa, also on hosts where it refuses to be imported."""

from __future__ import annotations

import atexit
import shutil
from importlib import import_module
from tempfile import mkdtemp
from types import ModuleType


def import_librosa() -> ModuleType:
    """Return librosa.

    Its compiler keeps its work beside librosa, or in the user's cache. In a read-only container
    without a home there is neither: it gets a folder that goes with the process.

    Raises:
        OSError: there is no folder for temporary files either.
    """
    try:
        return _loaded()
    except RuntimeError as error:
        if "locator" not in str(error):
            raise
    folder = mkdtemp(prefix="unmix-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    import_module("numba").config.CACHE_DIR = folder  # librosa needs numba, and brings it
    return _loaded()


def _loaded() -> ModuleType:
    """Import librosa with what it compiles, which it leaves for the first use."""
    import librosa

    _ = librosa.stft
    return librosa
