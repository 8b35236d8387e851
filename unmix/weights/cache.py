"""The user's cache of downloaded and imported models."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError, NoCacheError
from ..storage import cache_folder, written_whole

WEIGHTS = "weights.safetensors"

_HASH = "weights.sha256"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# A model named with a file's ending could not be told from a file.
_ENDINGS = (".safetensors", ".ckpt")
# A safetensors file starts with the length of its JSON header, at most 100 MB.
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class CachedModel:
    """A model in the cache, as its file describes it."""

    name: str
    path: Path
    architecture: str
    stems: tuple[str, ...]
    """Stems that the model estimates."""
    sample_rate: int
    """Hz."""
    audio_channels: int
    size: int
    """Size of the file in bytes."""
    licence: str
    """Licence of the weights."""
    origin: str
    """Source of the weights: a URL, or the name of a file."""


def downloads_folder() -> Path:
    """Return the folder of unfinished downloads."""
    return cache_folder() / "downloads"


def weights_path(name: str) -> Path:
    """Return the path of a model's weights in the cache, whether they exist or not.

    Raises:
        ModelError: the name cannot be a folder's on every platform.
    """
    if not _can_be_named(name):
        raise ModelError(f"{name!r} cannot be a model's name: use letters, digits and - _ + .")
    return cache_folder() / "models" / name / WEIGHTS


def _can_be_named(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and not name.endswith((*_ENDINGS, "."))


def in_cache(name: str) -> Path | None:
    """Return the path of a model's weights, None if the cache has no such model."""
    if not _can_be_named(name):
        return None
    with suppress(NoCacheError, PermissionError):
        path = weights_path(name)
        return path if path.is_file() else None
    return None


def cached_names() -> list[str]:
    """Return the names of the models in the cache, sorted."""
    try:
        found = (cache_folder() / "models").glob(f"*/{WEIGHTS}")
    except NoCacheError:
        return []
    return sorted(path.parent.name for path in found if in_cache(path.parent.name))


def read_cached(name: str) -> CachedModel:
    """Return the description of a model in the cache, without reading its tensors.

    Raises:
        ModelError: the file is damaged, or was not written by this package.
    """
    path = weights_path(name)
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                raise ValueError
            metadata = json.loads(file.read(length))["__metadata__"]
        config = json.loads(metadata["config"])
        return CachedModel(
            name=name,
            path=path,
            architecture=metadata["architecture"],
            stems=tuple(config["stems"]),
            sample_rate=config["sample_rate"],
            audio_channels=config["audio_channels"],
            size=path.stat().st_size,
            licence=metadata["licence"],
            origin=metadata.get("origin", ""),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, struct.error):
        raise ModelError(
            f"{path}: damaged, or not written by unmix; remove its folder, then download or "
            "import the model again"
        ) from None


def recorded_sha256(weights: Path) -> str | None:
    """Return the sha256 recorded beside a file in the cache, None if there is none."""
    try:
        words = weights.with_name(_HASH).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return words[0] if words else None


def record_sha256(weights: Path, digest: str | None) -> None:
    """Record the sha256 of a file beside it, as ``sha256sum`` does; None removes the record."""
    record = weights.with_name(_HASH)
    if digest is None:
        record.unlink(missing_ok=True)
    else:
        with written_whole(record) as staged:
            staged.write_text(f"{digest}  {weights.name}\n", encoding="ascii")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of a model's name, so that only one process writes it; wait for others.

    Raises:
        ModelError: the cache cannot be written.
    """
    from filelock import FileLock

    folder = downloads_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.lock"
        lock = FileLock(file)
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise ModelError(
            f"{folder}: cannot be written ({error}); set UNMIX_CACHE to a writable folder"
        ) from None
    try:
        yield
    finally:
        # A waiting process notices, and makes a new one. Windows does not remove a file in use.
        with suppress(OSError):
            file.unlink()
        lock.release()
