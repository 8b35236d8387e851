"""The user's cache: where models from elsewhere lie on this machine, and what each file says."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from ..storage import cache_folder

WEIGHTS = "weights.safetensors"

_HASH = "weights.sha256"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# Files are named by these endings: a model called so could not be told from a file.
_ENDINGS = (".safetensors", ".ckpt")
# The header of a safetensors file is JSON after its length; the format allows 100 MB.
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class CachedModel:
    """What the file of a model in the cache says of it."""

    name: str
    path: Path
    architecture: str
    stems: tuple[str, ...]
    """What the model estimates."""
    sample_rate: int
    """Hz."""
    audio_channels: int
    size: int
    """Bytes of the file."""
    licence: str
    """Of the weights."""
    origin: str
    """Where the weights come from: a URL, or the name of a file."""


def downloads_folder() -> Path:
    """Return the folder of what is on its way into the cache."""
    return cache_folder() / "downloads"


def weights_path(name: str) -> Path:
    """Return where the weights of a model lie, or would lie, in the cache.

    Raises:
        ModelError: for a name that cannot be that of a folder on every platform.
    """
    if not _can_be_named(name):
        raise ModelError(f"{name!r} cannot be a model's name: use letters, digits, - _ + and .")
    return cache_folder() / "models" / name / WEIGHTS


def _can_be_named(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and not name.endswith((*_ENDINGS, "."))


def in_cache(name: str) -> Path | None:
    """Return the weights of a model in the cache; None where it holds none of that name."""
    if not _can_be_named(name):
        return None
    path = weights_path(name)
    return path if path.is_file() else None


def cached_names() -> list[str]:
    """Return the names of all models in the cache, sorted."""
    found = (cache_folder() / "models").glob(f"*/{WEIGHTS}")
    return sorted(path.parent.name for path in found if in_cache(path.parent.name))


def read_cached(name: str) -> CachedModel:
    """Return what the file of a model in the cache says; its tensors are not read.

    Raises:
        ModelError: for a file that is damaged, or that this package did not write.
    """
    path = weights_path(name)
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                raise ValueError
            said = json.loads(file.read(length))["__metadata__"]
        config = json.loads(said["config"])
        return CachedModel(
            name=name,
            path=path,
            architecture=said["architecture"],
            stems=tuple(config["stems"]),
            sample_rate=config["sample_rate"],
            audio_channels=config["audio_channels"],
            size=path.stat().st_size,
            licence=said["licence"],
            origin=said.get("origin", ""),
        )
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        raise ModelError(
            f"{path}: damaged, or not written by unmix models; remove its folder, and "
            "download or import the model again"
        ) from None


def recorded_sha256(weights: Path) -> str | None:
    """Return the sha256 that was noted when a file was put in the cache; None where none was."""
    try:
        words = weights.with_name(_HASH).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return words[0] if words else None


def record_sha256(weights: Path, digest: str | None) -> None:
    """Note the sha256 of a file beside it, as ``sha256sum`` writes it; None takes the note away."""
    note = weights.with_name(_HASH)
    if digest is None:
        note.unlink(missing_ok=True)
    else:
        note.write_text(f"{digest}  {weights.name}\n", encoding="ascii")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep other processes from putting a model of this name in the cache; wait for those that do.

    Raises:
        ModelError: where the cache cannot be written to.
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
            f"{folder}: cannot be written ({error}); set UNMIX_CACHE to a folder that can"
        ) from None
    try:
        yield
    finally:
        # Who waits for it sees that it is gone, and makes a new one. Windows removes none in use.
        with suppress(OSError):
            file.unlink()
        lock.release()
