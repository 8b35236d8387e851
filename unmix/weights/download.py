"""Models that others published, from the net into the cache, ready to use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import ModelError
from ..storage import sha256_of
from .archive import RoomError, check_room, is_archive
from .cache import cached_names, downloads_folder, in_cache, locked, recorded_sha256, weights_path
from .http import Progress, UnreachedError, fetch
from .install import put_in_cache
from .manifest import PublishedModel, find_published, list_models, list_published

# Bytes on the disk while a download becomes a model, of those downloaded: an archive lies there
# unpacked too, and weights may be packed.
_ROOM = 2.5


def download(name: str, *, progress: Progress | None = None, then: Sequence[str] = ()) -> Path:
    """Bring a model that others published into the cache, and return the file of its weights.

    The file is downloaded, checked where its hash is known, converted, and removed. What is in the
    cache and undamaged is left as it is. A download that breaks off goes on at the next call.

    Args:
        name: of the model, see ``unmix models --all``.
        progress: called after each piece with the bytes that are here and, where it is known,
            those of the file. What it raises ends the download.
        then: the models that are downloaded next: one from the same file is handed it on.

    Raises:
        ModelError: for an unknown name, a model that can only be fetched by hand, and whatever the
            net, the file or the disk does: in one sentence that says what to do.
    """
    entry = _find(name)
    if entry.by_hand:
        if path := _undamaged(name):
            return path
        raise ModelError(f"{name} cannot be downloaded by itself: {entry.by_hand}")
    with locked(name):
        if path := _undamaged(name):
            return path
        file = _download_of(name)
        check_room(file.parent, _ROOM * (entry.size or 0))
        # A hash says more than a size, and a size from hearsay must not refuse the right file.
        size = None if entry.sha256 else entry.size
        try:
            fetch(entry.url, file, size=size, sha256=entry.sha256, progress=progress)
        except UnreachedError as error:
            raise ModelError(
                f"{error}; or fetch {entry.url} elsewhere, then "
                f"`unmix models import FILE --as {name}`"
            ) from None
        check_room(file.parent, _ROOM * file.stat().st_size)
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
        except RoomError:
            raise  # nothing is wrong with the file
        except ModelError as error:
            file.unlink(missing_ok=True)
            raise ModelError(
                f"{entry.url}: what it gives is not {name}, and was removed: {error}"
            ) from None
        # Kept for nobody in particular, it would lie there for ever.
        if heir := _heir(entry.url, then):
            file.replace(_download_of(heir))
        else:
            file.unlink(missing_ok=True)
        return done.path


def _download_of(name: str) -> Path:
    return downloads_folder() / f"{name}.download"


def _heir(url: str, names: Sequence[str]) -> str | None:
    """Return the first model that comes from the same file, and is not here yet."""
    for name in names:
        entry = find_published(name)
        if entry and entry.url == url and not entry.by_hand and not in_cache(name):
            return name
    return None


def _find(name: str) -> PublishedModel:
    entry = find_published(name)
    if entry is None:
        if name in cached_names() or any(name in model.names for model in list_models()):
            raise ModelError(f"{name} is on this machine already; there is nothing to download")
        choices = ", ".join(entry.name for entry in list_published())
        raise ModelError(f"unknown model {name!r}; choose from {choices}")
    return entry


def _undamaged(name: str) -> Path | None:
    """Return the weights of a model in the cache, unless they are not what was put there."""
    path = in_cache(name)
    recorded = recorded_sha256(weights_path(name))
    return None if path and recorded and sha256_of(path) != recorded else path
