"""Packed corpora: stems as 16-bit integers in a few large files that are memory-mapped.

The folder holds ``unmix-pack.json`` and shards: ``shard-00000.i16`` and so on. A shard consists of
little-endian 16-bit integers. Each stem of each track is one contiguous run of them with
interleaved channels, as in a WAV file. The index gives its shard, offset, length, channels, sample
rate and scale: a sample is the integer times the scale. The scale is 2**-15, which keeps 16-bit
files exact, or larger if a stem exceeds full scale. The index is written last; a folder without it
is not a packed corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError

from .._types import Samples
from ..config import Settings
from ..errors import UnmixError
from ..storage import sha256_of
from .tracks import StemFile, Track

INDEX = "unmix-pack.json"
SCALE = 2.0**-15
#: Samples per channel of a block.
_BLOCK = 65536


# Never a path: an index of others must not lead out of its folder.
ShardName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class StemEntry(Settings):
    """Location and format of one stem of a track."""

    shard: ShardName
    offset: int = Field(ge=0)
    """Bytes before the first sample in the shard."""
    length: int = Field(gt=0)
    """Samples per channel."""
    channels: int = Field(gt=0)
    sample_rate: int = Field(gt=0)
    """Hz."""
    scale: float = Field(gt=0, allow_inf_nan=False)
    """Sample value of the integer 1."""
    silent: bool = False
    """Whether the stem is silent throughout."""


class ShardEntry(Settings):
    """One shard."""

    size: int = Field(ge=0)
    """Bytes."""
    sha256: str


class SkippedEntry(Settings):
    """A stem that was skipped."""

    path: str
    stem: str
    reason: str


class PackIndex(Settings):
    """The content of ``unmix-pack.json``, also of its unfinished version during packing."""

    format: Literal["unmix-pack"] = "unmix-pack"
    version: Literal[1] = 1
    shards: dict[ShardName, ShardEntry] = Field(default_factory=dict)
    tracks: dict[str, dict[str, StemEntry]] = Field(default_factory=dict)
    skipped: tuple[SkippedEntry, ...] = ()


@dataclass(frozen=True)
class PackedStem(StemFile):
    """One stem in a shard."""

    offset: int = 0
    """Bytes before the first sample in the shard."""
    scale: float = SCALE
    """Sample value of the integer 1."""
    silent: bool = False

    def decode(self, first: int, count: int) -> Samples:
        """Return samples ``[C, count]``, fewer if the stem ends before."""
        count = max(0, min(first + count, self.length) - first)
        if not count:
            return np.zeros((self.channels, count), np.float32)
        # Mapped for this excerpt only: pages that stay mapped count as memory of this process.
        integers = np.memmap(
            self.path,
            "<i2",
            "r",
            offset=self.offset + 2 * first * self.channels,
            shape=(count, self.channels),
        )
        return np.ascontiguousarray(integers.T, np.float32) * np.float32(self.scale)

    def blocks(self, *, strict: bool = False) -> Iterator[Samples]:
        """Yield all samples as blocks ``[C, n]``; integers are always finite."""
        for start in range(0, self.length, _BLOCK):
            yield self.decode(start, _BLOCK)

    def is_silent(self) -> bool:
        """Return whether the stem is silent, as found when it was packed."""
        return self.silent


def read_index(path: Path) -> PackIndex:
    """Return the index in a file; an ``UnmixError`` if it is not one."""
    try:
        return PackIndex.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UnmixError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError:
        raise UnmixError(
            f"{path}: not the index of a packed corpus, or of another version; pack it again"
        ) from None


def open_packed(root: Path) -> list[Track]:
    """Return the tracks of a packed corpus, sorted by name; no sample is read.

    Raises:
        UnmixError: the index or a shard is missing, or a shard has the wrong size.
    """
    index = read_index(root / INDEX)
    _check_shards(root, index)
    _check_sizes(root, index)
    return [
        Track(name, {stem: packed_stem(root, entry) for stem, entry in stems.items()})
        for name, stems in sorted(index.tracks.items())
    ]


def packed_stem(root: Path, entry: StemEntry) -> PackedStem:
    """Return the stem that an entry of the index describes."""
    return PackedStem(
        path=root / entry.shard,
        sample_rate=entry.sample_rate,
        length=entry.length,
        channels=entry.channels,
        offset=entry.offset,
        scale=entry.scale,
        silent=entry.silent,
    )


def verify_packed(root: Path) -> Iterator[tuple[str, str | None]]:
    """Yield the name of each shard with an error message, or None if it is intact.

    Raises:
        UnmixError: the index cannot be read, or refers to a shard that it does not list.
    """
    index = read_index(root / INDEX)
    _check_shards(root, index)
    for name, entry in index.shards.items():
        path = root / name
        if not path.is_file():
            yield name, f"{path}: missing"
        elif (size := path.stat().st_size) != entry.size:
            yield name, f"{path}: damaged: expected {entry.size} bytes, found {size}"
        elif (digest := sha256_of(path)) != entry.sha256:
            yield name, f"{path}: damaged: expected SHA-256 {entry.sha256}, found {digest}"
        else:
            yield name, _outside(index, name, entry.size)


def _check_sizes(root: Path, index: PackIndex) -> None:
    for name, shard in index.shards.items():
        path = root / name
        size = path.stat().st_size if path.is_file() else None
        fault = _outside(index, name, shard.size) if size == shard.size else f"{path}: damaged"
        if fault:
            raise UnmixError(f"{fault}; pack the corpus again")


def _check_shards(root: Path, index: PackIndex) -> None:
    """Raise an ``UnmixError`` for an index that refers to a shard that it does not list."""
    for stems in index.tracks.values():
        for entry in stems.values():
            if entry.shard not in index.shards:
                raise UnmixError(f"{root / INDEX}: damaged: there is no shard {entry.shard}")


def _outside(index: PackIndex, shard: str, size: int) -> str | None:
    """Return an error message if a stem exceeds its shard."""
    for name, stems in index.tracks.items():
        for stem, entry in stems.items():
            end = entry.offset + 2 * entry.length * entry.channels
            if entry.shard == shard and end > size:
                return f"{INDEX}: damaged: {stem} of {name} exceeds {shard}"
    return None
