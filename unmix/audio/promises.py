"""What the headers of formats that count their samples promise.

A decoder reads what is there. Whether that is all, only the sizes in the file say. A writer that
could not go back to fill them in left zeros, ones, or about the largest number: none of these is
a promise.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

UNKNOWN_SIZE = 0x7FFF0000
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_SMALLEST_FLAC_FRAME = 10  # bytes
_LONGEST_FLAC_FRAME = 65535  # samples
_FLAC_FRAME_MARGIN = 4096  # bytes that metadata and the heads of frames may take beyond samples


class Promise(NamedTuple):
    """What a header says of the length."""

    samples: int | None = None
    """Samples per channel; None if it does not say, or cannot be believed."""
    filled_in: bool = True
    """False if the size was never filled in, so that a decoder would find no samples."""


def chunks(file: BinaryIO, *, little: bool) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, size and content position of the chunks of a RIFF or AIFF file."""
    position = 12
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = head[:4], struct.unpack("<I" if little else ">I", head[4:])[0]
        yield name, size, position + 8
        position += 8 + size + size % 2


def is_untold(size: int) -> bool:
    """Return whether a size of 32 bits is what writers to a pipe put: about 2 or 4 GiB, or 0."""
    return size == 0 or UNKNOWN_SIZE <= size <= 1 << 31 or size >= 0xFFFF0000


def of_wav(file: BinaryIO) -> Promise:
    """Read the header of a WAV, RIFX or RF64 file."""
    end = _end(file)
    file.seek(0)
    magic = file.read(4)
    little = magic != b"RIFX"
    order = "<" if little else ">"
    block = 0
    long_size: int | None = None
    for name, size, position in chunks(file, little=little):
        file.seek(position)
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"fmt ":
            content = file.read(16)
            if len(content) == 16:
                tag, _, _, _, align = struct.unpack(order + "HHIIH", content[:14])
                block = align if tag in (0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE) else 0
        elif name == b"data":
            in_ds64 = long_size is not None and (magic == b"RF64" or size == 0xFFFFFFFF)
            said = long_size if in_ds64 and long_size is not None else size
            return _sized(file, said, position, end, block)
    return Promise()


def _sized(file: BinaryIO, size: int, position: int, end: int, block: int) -> Promise:
    """Return what a chunk of samples promises that says its size and lies where it does."""
    left = end - position
    if size < max(block, 1) and left > size and not _is_chunk(file, position + size, end):
        # libsndfile would find no samples; FFmpeg reads to the end if the size is zero.
        return Promise(left // block if size and block else None, filled_in=False)
    if not block or (is_untold(size) and size > left):
        return Promise()
    return Promise(size // block)


def _is_chunk(file: BinaryIO, position: int, end: int) -> bool:
    """Return whether another chunk starts here: a printable name and a size within the file."""
    file.seek(position)
    head = file.read(8)
    if len(head) < 8 or not all(32 <= byte < 127 for byte in head[:4]):
        return False
    size: int = struct.unpack("<I", head[4:])[0]
    return position + 8 + size <= end


def of_aiff(file: BinaryIO) -> Promise:
    """Read the samples per channel of an AIFF file's COMM chunk."""
    for name, size, position in chunks(file, little=False):
        if name == b"COMM" and size >= 18:
            file.seek(position + 2)
            frames = int.from_bytes(file.read(4), "big")
            return Promise(frames if 0 < frames < UNKNOWN_SIZE else None)
    return Promise()


def of_au(file: BinaryIO) -> Promise:
    """Read the header of an AU file: place and size of the samples, coding, rate, channels."""
    file.seek(0)
    head = file.read(24)
    if len(head) < 24:
        return Promise()
    _, start, size, coding, _, channels = struct.unpack(">6I", head)
    left = _end(file) - start
    known = {2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 1: 1, 27: 1}
    block = known.get(coding, 0) * channels
    if size == 0xFFFFFFFF or not block:
        return Promise()
    if left > 0 and (size < block or (is_untold(size) and size > left)):
        return Promise(filled_in=False)
    return Promise(size // block)


def of_w64(file: BinaryIO) -> Promise:
    """Read the header of a Sony Wave64 file, whose chunks count their own heads."""
    end, position, block = _end(file), 40, 0
    while True:
        file.seek(position)
        head = file.read(24)
        if len(head) < 24:
            return Promise()
        size = int.from_bytes(head[16:], "little")
        if head[:4] == b"fmt ":
            tag, _, _, _, align = struct.unpack("<HHIIH", file.read(16)[:14].ljust(14, b"\0"))
            block = align if tag in (0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE) else 0
        elif head[:16] == _W64_DATA:
            believed = block and 24 < size < 1 << 62 and not (size > 1 << 40 and size > end)
            return Promise((size - 24) // block if believed else None)
        if size < 24:
            return Promise()
        position += -(-size // 8) * 8


def of_caf(file: BinaryIO) -> Promise:
    """Read the header of an Apple CAF file: the packets of its data, or its packet table.

    Raises:
        ValueError: the size of the data is such that decoders begin at a wrong byte.
    """
    position, packet, samples = 8, 0, 0
    while True:
        file.seek(position)
        head = file.read(12)
        if len(head) < 12:
            return Promise()
        name, size = head[:4], int.from_bytes(head[4:], "big", signed=True)
        if name == b"desc":
            packet, samples = struct.unpack(">16xII", file.read(24).ljust(24, b"\0"))
        elif name == b"pakt":
            return Promise(int.from_bytes(file.read(16)[8:], "big") or None)
        elif name == b"data" and packet:
            if 0 < size < 4 + packet:
                raise ValueError("the size of its data is impossible")
            sane = 0 < size < 1 << 40
            return Promise((size - 4) // packet * samples if sane else None)
        if size < 0:
            return Promise()
        position += 12 + size


def of_nist(file: BinaryIO) -> Promise:
    """Read the count of samples in the text that a NIST SPHERE file begins with."""
    file.seek(0)
    found = re.search(rb"\nsample_count -i (\d{1,18})\s", file.read(1024))
    return Promise(int(found[1]) or None if found else None)


def of_sox(file: BinaryIO) -> Promise:
    """Read the count of samples of all channels in SoX's own format."""
    file.seek(4)
    head = file.read(24)
    if len(head) < 24:
        return Promise()
    _, total, _, channels = struct.unpack("<IQdI", head)
    return Promise(total // channels if channels and 0 < total < 1 << 48 else None)


def of_flac(file: BinaryIO) -> Promise:
    """Read the total of the block STREAMINFO, if the file's size allows it."""
    file.seek(0)
    head = file.read(26)
    if len(head) < 26 or head[4] & 0x7F:
        return Promise()
    form = int.from_bytes(head[18:26], "big")
    total, bits, channels = form & (1 << 36) - 1, (form >> 36 & 31) + 1, (form >> 41 & 7) + 1
    size = _end(file)
    most = size // _SMALLEST_FLAC_FRAME * _LONGEST_FLAC_FRAME
    blocks = _flac_metadata(file)
    if size <= blocks and not total:
        return Promise(0)
    least = (size - blocks - _FLAC_FRAME_MARGIN) // max(1, channels * -(-bits // 8) * 2)
    # A frame is never much larger than its samples: a total of 1 in a long file is not true.
    return Promise(total or None, filled_in=least <= total <= most)


def _flac_metadata(file: BinaryIO) -> int:
    """Return where the frames of a FLAC file begin."""
    position = 4
    while True:
        file.seek(position)
        head = file.read(4)
        if len(head) < 4:
            return position
        position += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 0x80:
            return position


def _end(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)
