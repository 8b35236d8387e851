"""Reader of TensorFlow checkpoints (V2, "tensor bundles") without TensorFlow.

A checkpoint is a prefix: ``PREFIX.index`` is a sorted string table from the name of each tensor to
its type, shape and place in ``PREFIX.data-00000-of-00001``, which holds raw numbers. The entries
are protocol buffers, of which only the needed fields are read.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ...errors import ModelError
from ._sstable import DamageError, masked_checksum, read_table, take, varint

#: Package that computes the checksums.
CHECKSUMS = "google_crc32c"
#: Scope of the networks of Stoller et al.
SCOPE = "separator/"
# What the optimizer remembers of each variable.
_SLOTS = ("/Adam", "/Adam_1")

_INDEX = ".index"
# A checkpoint of ten thousand tensors has an index of about a megabyte.
_LARGEST_INDEX = 1 << 26
_MOST_SHARDS = 99999
_MOST_DIMENSIONS = 16
_STRING = 7
_TYPES = {
    1: torch.float32,
    2: torch.float64,
    3: torch.int32,
    9: torch.int64,
    10: torch.bool,
    14: torch.bfloat16,
    19: torch.float16,
}
# The fields of a protocol buffer: numbers and messages by field number.
_Fields = dict[int, list[int | bytes]]


@dataclass(frozen=True)
class _Entry:
    """Type, shape and place of one tensor."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    """Size in bytes."""
    checksum: int


def read_bundle(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name; strings are left out.

    Args:
        path: the ``.index`` file, the prefix, or a folder with the checkpoint that its file
            ``checkpoint`` names, or with a single one.

    Raises:
        ModelError: there is no checkpoint, or it is damaged, incomplete or not supported.
    """
    index = _find(path)
    try:
        with index.open("rb") as file:
            data = file.read(_LARGEST_INDEX + 1)
        if len(data) > _LARGEST_INDEX:
            raise DamageError(f"more than {_LARGEST_INDEX >> 20} MiB")
        shards, entries = _entries(read_table(data))
    except DamageError as damage:
        raise ModelError(f"{index}: not the index of a TensorFlow checkpoint: {damage}") from None
    except OSError as error:
        raise ModelError(f"{index}: cannot be read: {error.strerror or error}") from None
    prefix = index.name.removesuffix(_INDEX)
    tensors: dict[str, Tensor] = {}
    for shard in sorted({entry.shard for entry in entries}):
        name = f"{prefix}.data-{shard:05d}-of-{shards:05d}"
        tensors |= _read_shard(index.with_name(name), [e for e in entries if e.shard == shard])
    return {entry.name: tensors[entry.name] for entry in entries}


def bundle_files(path: Path) -> list[Path]:
    """Return the files of a checkpoint: its index, then its data.

    Args:
        path: as for ``read_bundle``.

    Raises:
        ModelError: there is no checkpoint.
    """
    index = _find(path)
    prefix = glob.escape(index.name.removesuffix(_INDEX))
    return [index, *sorted(index.parent.glob(f"{prefix}.data-*"))]


def _find(path: Path) -> Path:
    """Return the ``.index`` file of a path."""
    if path.is_dir():
        return _find_in(path)
    if path.suffix == _INDEX and path.is_file():
        return path
    # Not with_suffix: prefixes such as "model.ckpt-100" contain dots.
    beside = path.with_name(path.name + _INDEX)
    if beside.is_file():
        return beside
    what = "not a TensorFlow checkpoint" if path.exists() else "no such TensorFlow checkpoint"
    raise ModelError(f"{path}: {what}: expected its .index file, its prefix, or its folder")


def _find_in(folder: Path) -> Path:
    try:
        with (folder / "checkpoint").open(encoding="utf-8", errors="replace") as file:
            text = file.read(1 << 16)
    except OSError:
        found = sorted(folder.glob(f"*{_INDEX}"))
        if len(found) == 1:
            return found[0]
        count = "several .index files" if found else "no .index file"
        raise ModelError(f"{folder}: expected one TensorFlow checkpoint, found {count}") from None
    named = re.search(r'^\s*model_checkpoint_path:\s*"([^"\n]+)"', text, re.MULTILINE)
    # The path is often that of another machine: only its last part counts.
    name = re.split(r"[/\\]", named[1])[-1] if named else ""
    index = folder / f"{name}{_INDEX}"
    if not name or "\0" in name or not index.is_file():
        raise ModelError(
            f"{folder}: its file checkpoint names {name or 'no checkpoint'!r}, "
            "expected one whose .index file is in the folder"
        )
    return index


def _entries(table: dict[bytes, bytes]) -> tuple[int, list[_Entry]]:
    """Return the number of shards and the tensors of an index."""
    if b"" not in table:
        raise DamageError("it has no header")
    header = _fields(table[b""])
    shards = _number(header, 1)
    if not 1 <= shards <= _MOST_SHARDS:
        raise DamageError(f"expected 1 to {_MOST_SHARDS} data files, found {shards}")
    if _number(header, 2):
        raise DamageError("big-endian, expected little-endian")
    entries = []
    for key, message in table.items():
        fields = _fields(message)
        if not key or _number(fields, 1) == _STRING:
            continue
        try:
            name = key.decode()
        except UnicodeDecodeError:
            raise DamageError(f"{key[:40]!r} is not a tensor's name") from None
        entries.append(_entry(name, fields, shards))
    return shards, entries


def _entry(name: str, fields: _Fields, shards: int) -> _Entry:
    dtype = _TYPES.get(_number(fields, 1))
    if dtype is None:
        raise DamageError(
            f"{name} is of type {_number(fields, 1)}, expected floats, integers or bools"
        )
    if 7 in fields:
        raise DamageError(f"{name} is stored in slices, expected a whole tensor")
    shapes = _messages(fields, 2)
    dimensions = _messages(_fields(shapes[-1]), 2) if shapes else []
    shape = tuple(_number(_fields(dimension), 1) for dimension in dimensions)
    shard, offset, size = (_number(fields, number) for number in (3, 4, 5))
    if len(shape) > _MOST_DIMENSIONS or size == 0 or prod(shape) * dtype.itemsize != size:
        raise DamageError(f"{name} has the shape {shape[:_MOST_DIMENSIONS]} but {size} bytes")
    if shard >= shards:
        raise DamageError(f"{name} is in data file {shard} of {shards}")
    return _Entry(name, dtype, shape, shard, offset, size, _number(fields, 6))


def _read_shard(path: Path, entries: list[_Entry]) -> dict[str, Tensor]:
    """Return the tensors in one data file."""
    try:
        # Tensors do not overlap, so a damaged index cannot ask for more than the file holds.
        held, named = path.stat().st_size, sum(entry.size for entry in entries)
        if named > held:
            raise DamageError(f"expected {named} bytes of tensors, found {held}: is it cut off?")
        with path.open("rb") as file:
            return {entry.name: _read_tensor(file, entry, held) for entry in entries}
    except DamageError as damage:
        raise ModelError(f"{path}: not the data of this TensorFlow checkpoint: {damage}") from None
    except FileNotFoundError:
        raise ModelError(f"{path}: missing: expected this file beside its .index") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from None


def _read_tensor(file: BinaryIO, entry: _Entry, held: int) -> Tensor:
    if entry.offset + entry.size > held:
        raise DamageError(f"{entry.name} lies beyond its end: is it cut off?")
    file.seek(entry.offset)
    data = file.read(entry.size)
    if len(data) != entry.size or masked_checksum(data) != entry.checksum:
        raise DamageError(f"the checksum of {entry.name} is wrong")
    # A copy, as bytes cannot be written to.
    return torch.frombuffer(bytearray(data), dtype=entry.dtype).reshape(entry.shape)


def _fields(message: bytes) -> _Fields:
    """Return every field of a protocol buffer, whatever its schema."""
    fields: _Fields = {}
    at = 0
    value: int | bytes
    while at < len(message):
        tag, at = varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = varint(message, at)
        elif wire == 2:
            size, at = varint(message, at)
            value, at = take(message, at, size)
        elif wire in (1, 5):
            raw, at = take(message, at, 8 if wire == 1 else 4)
            value = int.from_bytes(raw, "little")
        else:
            raise DamageError(f"an entry is not a protocol buffer (wire type {wire})")
        fields.setdefault(number, []).append(value)
    return fields


def _number(fields: _Fields, number: int) -> int:
    """Return the number in a field; 0, the format's default, if the field is left out."""
    value = fields.get(number, [0])[-1]
    if isinstance(value, bytes):
        raise DamageError("an entry holds bytes where a number was expected")
    return value


def _messages(fields: _Fields, number: int) -> list[bytes]:
    """Return the messages in a field."""
    values: Iterable[int | bytes] = fields.get(number, [])
    messages = [value for value in values if isinstance(value, bytes)]
    if len(messages) != len(fields.get(number, [])):
        raise DamageError("an entry holds a number where a message was expected")
    return messages


def ignored(name: str) -> bool:
    """Return whether a variable is of another scope, or of the optimizer."""
    return not name.startswith(SCOPE) or name.endswith(_SLOTS)


def numbered(kind: str, number: int) -> str:
    """Return the name of a layer: the first one of its kind has no number."""
    return f"{kind}_{number}" if number else kind
