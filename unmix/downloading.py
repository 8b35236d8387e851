"""Models that others published, from the net into the cache, ready to use."""

from __future__ import annotations

import shutil
from pathlib import Path

from .cache import (
    cached_names,
    downloads_folder,
    in_cache,
    locked,
    recorded_sha256,
    sha256_of,
    weights_path,
)
from .errors import ModelError
from .fetching import Progress, fetch
from .installing import put_in_cache
from .manifest import PublishedModel, find_published, list_models, list_published
from .unpacking import is_archive

# Bytes on the disk while a download becomes a model, of those downloaded: an archive lies there
# unpacked too, and weights may be packed.
_ROOM = 2.5


def download(name: str, *, progress: Progress | None = None) -> Path:
    """Bring a model that others published into the cache, and return the file of its weights.

    The file is downloaded, checked where its hash is known, converted, and removed. What is in the
    cache and undamaged is left as it is. A download that breaks off goes on at the next call.

    Args:
        name: of the model, see ``unmix models --all``.
        progress: called after each piece with the bytes that are here and, where it is known,
            those of the file. What it raises ends the download.

    Raises:
        ModelError: for an unknown name, a model that can only be fetched by hand, and whatever the
            net, the file or the disk does: in one sentence that says what to do.
    """
    entry = _find(name)
    with locked(name):
        if path := _undamaged(name):
            return path
        if entry.by_hand:
            raise ModelError(f"{name} cannot be downloaded by itself: {entry.by_hand}")
        file = downloads_folder() / f"{name}.download"
        _check_room(file.parent, entry.size)
        # A hash says more than a size, and a size from hearsay must not refuse the right file.
        size = None if entry.sha256 else entry.size
        fetch(entry.url, file, size=size, sha256=entry.sha256, progress=progress)
        _check_room(file.parent, file.stat().st_size)
        try:
            if entry.file and not is_archive(file):
                raise ModelError("not an archive")
            done = put_in_cache(
                file,
                name,
                entry.recipe,
                file=entry.file,
                settings=entry.settings,
                licence=entry.licence,
                origin=entry.url,
            )
        except ModelError as error:
            file.unlink(missing_ok=True)
            raise ModelError(
                f"{entry.url}: what it gives is not {name}, and was removed: {error}"
            ) from None
        file.unlink(missing_ok=True)
        return done.path


def _find(name: str) -> PublishedModel:
    entry = find_published(name)
    if entry is None:
        if name in (*(model.name for model in list_models()), *cached_names()):
            raise ModelError(f"{name} is on this machine already; there is nothing to download")
        choices = ", ".join(entry.name for entry in list_published())
        raise ModelError(f"unknown model {name!r}; choose from {choices}")
    return entry


def _undamaged(name: str) -> Path | None:
    """Return the weights of a model in the cache, unless they are not what was put there."""
    path = in_cache(name)
    recorded = recorded_sha256(weights_path(name))
    return None if path and recorded and sha256_of(path) != recorded else path


def _check_room(folder: Path, size: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if size and free < _ROOM * size:
        raise ModelError(
            f"{folder}: the disk is full: {_ROOM * size / 1e6:.0f} MB are needed, "
            f"{free / 1e6:.0f} MB are free; make room, or set UNMIX_CACHE to another folder"
        )
