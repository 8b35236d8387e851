"""Hashes of files, the way to their disk, and the folder of the user's cache."""

from __future__ import annotations

import os
from hashlib import file_digest
from pathlib import Path

from ..errors import NoCacheError


def cache_folder() -> Path:
    """Return ``$UNMIX_CACHE``, else ``$XDG_CACHE_HOME/unmix``, else the platform's cache folder.

    Raises:
        NoCacheError: none of them is known, as for a user without a home.
    """
    try:
        return _cache_folder()
    except RuntimeError:
        sentence = "there is no folder for the cache, as no home is known: set UNMIX_CACHE to one"
        raise NoCacheError(sentence) from None


def _cache_folder() -> Path:
    if named := os.environ.get("UNMIX_CACHE"):
        return Path(named).expanduser().absolute()
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home).expanduser().absolute() / "unmix"
    import platformdirs

    return Path(platformdirs.user_cache_dir("unmix"))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def reach_disk(path: Path) -> None:
    """Wait until a file is on its disk: some say only then that they are full, or broken.

    Raises:
        OSError: the disk did not take all of it.
    """
    with path.open("r+b") as file:
        os.fsync(file.fileno())
