"""Download of published models into the cache, converted and ready to use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import ModelError
from ..storage import sha256_of
from ..storage.hidden import Leftover, State, size_of
from ..storage.locks import Held, try_lock
from .archive import RoomError, check_room, is_archive
from .cache import cached_names, downloads_folder, in_cache, locked, recorded_sha256, weights_path
from .http import ByteProgress, UnreachedError, fetch
from .install import ForeignWeights, converter_of, put_in_cache
from .manifest import PublishedModel, find_published, list_models, list_published

# Disk space needed, relative to the download: an archive is unpacked, and converted, beside it.
_ROOM = 2.5


def download(name: str, *, progress: ByteProgress | None = None, then: Sequence[str] = ()) -> Path:
    """Download a published model into the cache, and return the path of its weights.

    The file is downloaded, checked if its hash is known, converted and removed. An undamaged model
    in the cache is kept. An interrupted download resumes at the next call.

    Args:
        name: name of the model; see ``unmix models --all``.
        progress: called after each block with the bytes received and the bytes of the file, None
            if unknown. What it raises ends the download.
        then: names to be downloaded next; the file is kept if one of them comes from it too.

    Raises:
        ModelError: the name is unknown, the model can only be downloaded by hand, or the network,
            the file or the disk fails.
    """
    entry = _find(name)
    if entry.by_hand:
        if path := _undamaged(name):
            return path
        raise ModelError(f"{name} can only be downloaded by hand: {entry.by_hand}")
    converter_of(entry.recipe)  # raises if a package is missing
    with locked(name):
        if path := _undamaged(name):
            return path
        file = _download_of(name)
        check_room(file.parent, _ROOM * (entry.size or 0))
        # The hash decides: a size from hearsay must not refuse the right file.
        size = None if entry.sha256 else entry.size
        try:
            fetch(entry.url, file, size=size, sha256=entry.sha256, progress=progress)
        except UnreachedError as error:
            raise ModelError(
                f"{error}; or download {entry.url} elsewhere, then run "
                f"`unmix models import FILE --as {name}`"
            ) from None
        check_room(file.parent, _ROOM * file.stat().st_size)
        try:
            if entry.file and not is_archive(file):
                raise ModelError("not an archive")
            done = put_in_cache(
                ForeignWeights(
                    file, entry.recipe, entry.file, entry.settings, entry.licence, entry.url
                ),
                name,
            )
        except RoomError:
            raise  # nothing is wrong with the file
        except ModelError as error:
            file.unlink(missing_ok=True)
            raise ModelError(
                f"{entry.url}: the download is not {name}, and was removed: {error}"
            ) from None
        if heir := _heir(entry.url, then):
            file.replace(_download_of(heir))
        else:
            file.unlink(missing_ok=True)
        return done.path


def unfinished() -> Iterator[Leftover]:
    """Yield the downloads that were begun, and whether a process is at work on them."""
    for file in sorted(downloads_folder().glob("*.download*")):
        lock, state = _asked(file, make=False)
        lock.close()
        yield Leftover(file, size_of(file), state)


def forget(file: Path, *, unknown: bool = False) -> State:
    """Remove a file of ``unfinished`` unless a process is at work on it; return whether one is.

    Args:
        file: the file.
        unknown: whether to remove it too where files cannot be locked.
    """
    lock, state = _asked(file, make=True)
    with suppress(OSError):
        if state == "left" or (state == "unknown" and unknown):
            file.unlink()
            lock.path.unlink()  # held: a process that waits for it makes a new one
    lock.close()
    return state


def _asked(file: Path, *, make: bool) -> tuple[Held, State]:
    path = file.with_name(f"{file.name.partition('.download')[0]}.lock")
    try:
        lock = try_lock(path, make=make)
    except FileNotFoundError:
        return Held(None, None, path), "left"
    except OSError:
        return Held(None, None, path), "unknown"
    return lock, "in use" if lock.free is False else "left" if lock.free else "unknown"


def _download_of(name: str) -> Path:
    return downloads_folder() / f"{name}.download"


def _heir(url: str, names: Sequence[str]) -> str | None:
    """Return the first model that comes from the same file and is not in the cache."""
    for name in names:
        entry = find_published(name)
        if entry and entry.url == url and not entry.by_hand and not in_cache(name):
            return name
    return None


def _find(name: str) -> PublishedModel:
    entry = find_published(name)
    if entry is None:
        if name in cached_names() or any(name in model.names for model in list_models()):
            raise ModelError(f"{name} is on this machine already: nothing to download")
        choices = ", ".join(entry.name for entry in list_published())
        raise ModelError(f"unknown model {name!r}; choose from {choices}")
    return entry


def _undamaged(name: str) -> Path | None:
    """Return the weights of a model in the cache, None if they are missing or damaged."""
    path = in_cache(name)
    recorded = recorded_sha256(weights_path(name))
    return None if path and recorded and sha256_of(path) != recorded else path
