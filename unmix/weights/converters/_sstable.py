"""Reader of sorted string tables: the files of LevelDB, and the index of a TensorFlow checkpoint.

    block | block | ... | block of block handles | footer

A block holds pairs of key and value sorted by key, and ends with a byte for the compression and a
checksum. Nothing is trusted before its checksum is verified, and no size that exceeds the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import ModelError, missing_extra

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
# After a block: one byte for the compression, four for the checksum.
_TRAILER = 5
_MASK = 0xA282EAD8
# More than any checkpoint of a network needs, too few to fill the memory.
_MOST_PAIRS = 1 << 17
_LONGEST_KEY = 1 << 12


class DamageError(ValueError):
    """What is wrong with the bytes of a file; the caller adds the file's name."""


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Return the pairs of a table in order.

    Args:
        data: the whole file.

    Raises:
        DamageError: the file is not such a table, or damaged.
    """
    if len(data) < _FOOTER:
        raise DamageError(f"{len(data)} bytes are too few")
    footer = data[-_FOOTER:]
    if int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise DamageError("the last eight bytes are not the format's")
    properties, at = _handle(footer, 0)
    handles, at = _handle(footer, at)
    if any(footer[at:-8]):
        raise DamageError("the footer is damaged")
    _block(data, *properties)  # not used, but must be whole
    pairs: dict[bytes, bytes] = {}
    last: bytes | None = None
    for _, value in _pairs(_block(data, *handles)):
        handle, _ = _handle(value, 0)
        for key, entry in _pairs(_block(data, *handle)):
            # Order ensures that no handle leads into the same block again and again.
            if last is not None and key <= last:
                raise DamageError("its keys are not in order")
            if len(pairs) == _MOST_PAIRS:
                raise DamageError(f"it lists more than {_MOST_PAIRS} tensors")
            pairs[key] = entry
            last = key
    return pairs


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint (7 bits a byte) that begins at ``at``, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise DamageError("a number is cut off")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise DamageError("a number has more than 64 bits")


def take(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    """Return ``size`` bytes from ``at`` on, and where they end."""
    if size > len(data) - at:
        raise DamageError(f"expected {size} more bytes, found {len(data) - at}")
    return data[at : at + size], at + size


def masked_checksum(data: bytes) -> int:
    """Return the CRC-32C as these files store it: rotated and offset.

    Raises:
        ModelError: google-crc32c is not installed.
    """
    try:
        import google_crc32c
    except ModuleNotFoundError as error:
        raise ModelError(f"TensorFlow checkpoints: {missing_extra(error.name) or error}") from None
    checksum: int = google_crc32c.value(data)
    return (((checksum >> 15) | (checksum << 17)) + _MASK) & 0xFFFFFFFF


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Return offset and size of a block, and where the two end."""
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _block(data: bytes, offset: int, size: int) -> bytes:
    """Return the content of a block whose checksum is right."""
    end = offset + size
    if end + _TRAILER > len(data) - _FOOTER:
        raise DamageError(
            f"a block ends at byte {end + _TRAILER} of {len(data)}: is the file cut off?"
        )
    checksum = int.from_bytes(data[end + 1 : end + _TRAILER], "little")
    if masked_checksum(data[offset : end + 1]) != checksum:
        raise DamageError(f"the checksum of the block at byte {offset} is wrong")
    if data[end] != 0:
        raise DamageError(f"the block at byte {offset} is compressed, unlike in any checkpoint")
    return data[offset:end]


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pairs of a block; each key shares a prefix with the one before.

    The block ends with a list of restarts, where keys are whole; it serves a search, unused here.
    """
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if len(block) < 4 or end < 0:
        raise DamageError("a block has no list of restarts")
    entries, at, key = block[:end], 0, b""
    while at < end:
        common, at = varint(entries, at)
        own, at = varint(entries, at)
        size, at = varint(entries, at)
        if common > len(key) or common + own > _LONGEST_KEY:
            raise DamageError("a key is damaged")
        rest, at = take(entries, at, own)
        key = key[:common] + rest
        value, at = take(entries, at, size)
        yield key, value
