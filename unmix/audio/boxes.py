"""How far the outermost box of a file goes: beyond the file's end, if it was cut short."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from .promises import chunks, is_untold

_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MATROSKA_ELEMENTS = (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67")  # head and segment
_MP4_BOXES = (
    *(b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"meta", b"udta"),
    *(b"moof", b"mfra", b"styp", b"sidx", b"ssix", b"prft", b"emsg"),
)


def is_cut(file: BinaryIO, kind: str) -> bool:
    """Return whether the outermost box of a file goes on behind its end.

    Args:
        file: the file.
        kind: as ``read_header`` has it; of kinds that are not listed below, nothing is known.
    """
    end = file.seek(0, os.SEEK_END)
    reach = {
        "mp4": _mp4_reach,
        "matroska": _matroska_reach,
        "avi": _avi_reach,
        "asf": _asf_reach,
        "voc": _voc_reach,
        "flv": _flv_reach,
        "wav": _wav_reach,
        "aiff": _aiff_reach,
        "au": _au_reach,
        "avr": _avr_reach,
        "w64": _w64_reach,
    }.get(kind)
    return reach is not None and reach(file, end) > end


def _mp4_reach(file: BinaryIO, end: int) -> int:
    position = 0
    while position + 8 <= end:
        file.seek(position)
        head = file.read(16)
        if head[4:8] not in _MP4_BOXES:  # another program's bytes
            return position
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8:  # 0: to the end of the file
            return position
        position += size
    return position


def _matroska_reach(file: BinaryIO, end: int) -> int:
    """Return the end of the last segment, whose size may be unknown: all ones."""
    position = 0
    while position < end:
        file.seek(position)
        head = file.read(12)
        if head[:4] not in _MATROSKA_ELEMENTS or len(head) < 5 or not head[4]:
            return position
        long = 9 - head[4].bit_length()  # bytes of the size
        value = int.from_bytes(head[4 : 4 + long], "big") & (1 << 7 * long) - 1
        if value == (1 << 7 * long) - 1:
            return position
        position += 4 + long + value
    return position


def _avi_reach(file: BinaryIO, end: int) -> int:
    file.seek(4)
    size = int.from_bytes(file.read(4), "little")
    return 0 if is_untold(size) else 8 + size


def _asf_reach(file: BinaryIO, end: int) -> int:
    """Return the size in the object of file properties; a broadcast has none."""
    file.seek(0)
    head = file.read(8192)
    at = head.find(_ASF_FILE)
    if at < 0 or len(head) < at + 104:
        return 0
    broadcast = head[at + 88] & 1
    return 0 if broadcast else int.from_bytes(head[at + 40 : at + 48], "little")


def _voc_reach(file: BinaryIO, end: int) -> int:
    file.seek(20)
    position = int.from_bytes(file.read(2), "little")
    while position < end:
        file.seek(position)
        head = file.read(4)
        if len(head) < 4 or head[0] == 0:  # the terminator has no size
            return position
        position += 4 + int.from_bytes(head[1:], "little")
    return position


def _flv_reach(file: BinaryIO, end: int) -> int:
    """Return the size in the metadata that most writers of FLV put first."""
    file.seek(0)
    head = file.read(4096)
    at = head.find(b"\0\x08filesize\0")
    size = struct.unpack(">d", head[at + 11 : at + 19])[0] if 0 <= at < len(head) - 19 else 0.0
    return int(size) if 0 < size < 1 << 48 else 0


def _wav_reach(file: BinaryIO, end: int) -> int:
    """Return the end of the data of a compressed WAV, in which sizes do not count samples."""
    coding, align = 0, 1
    for name, size, position in chunks(file, little=True):
        file.seek(position)
        if name == b"fmt ":
            coding, align = struct.unpack("<H10xH", file.read(14).ljust(14, b"\0"))
        elif name == b"data":
            compressed = coding not in (0x0001, 0x0003, 0xFFFE)
            # Some writers count the padding, or a block that they did not fill.
            return position + size - align if compressed and not is_untold(size) else 0
    return 0


def _aiff_reach(file: BinaryIO, end: int) -> int:
    for name, size, position in chunks(file, little=False):
        if name == b"SSND":
            return 0 if is_untold(size) else position + size
    return 0


def _au_reach(file: BinaryIO, end: int) -> int:
    file.seek(4)
    start, size = struct.unpack(">2I", file.read(8).ljust(8, b"\0"))
    return 0 if is_untold(size) else start + size


def _avr_reach(file: BinaryIO, end: int) -> int:
    """Return where the samples of an AVR file end, after its head of 128 bytes."""
    file.seek(12)
    stereo, bits = struct.unpack(">2H", file.read(4).ljust(4, b"\0"))
    file.seek(26)
    frames = int.from_bytes(file.read(4), "big")
    return 0 if is_untold(frames) else 128 + frames * (2 if stereo else 1) * (bits // 8)


def _w64_reach(file: BinaryIO, end: int) -> int:
    """Return the size of the whole file, which a Sony Wave64 file begins with."""
    file.seek(16)
    size = int.from_bytes(file.read(8), "little")
    return size if size < 1 << 40 else 0
