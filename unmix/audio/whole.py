"""Whether a finished file is whole: the sizes that it has in it are followed to its last byte.

A header alone proves little: FLAC's has the length, and stays as it is when the end is lost. It
costs about as much as opening the file. FLAC has no sizes: there, the last frame is decoded.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import soundfile

from .id3 import syncsafe
from .info import libsndfile_name

_SEGMENT = 0x18538067  # Matroska's outermost element
_EBML = b"\x1a\x45\xdf\xa3"


class NotWholeError(Exception):
    """A file ends before its own sizes say, or they were never filled in."""


def follow_to_end(path: Path) -> None:
    """Refuse a finished file that does not end where its own sizes say.

    The formats are those that are written: wav, flac, aiff, mp3, ogg, opus, m4a, mp4, mov, mkv and
    webm. Any other file passes.

    Raises:
        NotWholeError: it is not whole.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(12)
        follow = _FOLLOWERS.get(head[:4])
        if head[4:8] == b"ftyp":
            follow = _mp4
        elif head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
            follow = _mp3
        if follow is None:
            return
        try:
            follow(path, file, file.seek(0, os.SEEK_END))
        except (soundfile.LibsndfileError, struct.error, IndexError) as error:
            raise NotWholeError(str(error)) from error


def _require(whole: bool, what: str) -> None:
    if not whole:
        raise NotWholeError(what)


def _at(file: BinaryIO, position: int, size: int) -> bytes:
    """Return bytes of a file, all of which must be there."""
    file.seek(position)
    data = file.read(size)
    _require(len(data) == size, "it ends within a header")
    return data


def _chunks(file: BinaryIO, end: int, order: str) -> Iterator[tuple[bytes, int]]:
    """Yield name and position of a RIFF's or FORM's chunks, which must fill it."""
    position, long_size = 12, 0
    while position < end:
        name, size = struct.unpack(f"{order}4sI", _at(file, position, 8))
        if name == b"ds64":
            long_size = struct.unpack("<8xQ", _at(file, position + 8, 16))[0]
        if name == b"data" and size == 0xFFFFFFFF:
            size = long_size
        yield name, position + 8
        position += 8 + size + size % 2
    _require(position == end, "it ends within a chunk")


def _wav(path: Path, file: BinaryIO, end: int) -> None:
    del path
    stated = struct.unpack("<I", _at(file, 4, 4))[0]
    if stated == 0xFFFFFFFF:
        stated = struct.unpack("<Q", _at(file, 20, 8))[0]
    _require(stated + 8 + stated % 2 == end, "its size is not what its header says")
    _require(b"data" in dict(_chunks(file, end, "<")), "its samples are missing")


def _aiff(path: Path, file: BinaryIO, end: int) -> None:
    del path
    stated = struct.unpack(">I", _at(file, 4, 4))[0]
    _require(stated + 8 + stated % 2 == end, "its size is not what its header says")
    places = dict(_chunks(file, end, ">"))
    _require({b"COMM", b"SSND"} <= set(places), "its samples are missing")
    channels, length, bits = struct.unpack(">HIH", _at(file, places[b"COMM"], 8))
    held = struct.unpack(">I", _at(file, places[b"SSND"] - 4, 4))[0] - 8
    _require(held >= length * channels * ((bits + 7) // 8), "some of its samples are missing")


def _flac(path: Path, file: BinaryIO, end: int) -> None:
    position, last, length = 4, False, 0
    while not last:
        head = _at(file, position, 4)
        last, kind, size = bool(head[0] & 0x80), head[0] & 0x7F, int.from_bytes(head[1:], "big")
        if kind == 0:
            length = int.from_bytes(_at(file, position + 4, 18)[13:], "big") & 0xFFFFFFFFF
        position += 4 + size
    if length == 0:  # an encoder that was not completed leaves it so
        _require(position == end, "its length was never filled in")
        return
    with soundfile.SoundFile(libsndfile_name(path)) as decoder:
        decoder.seek(length - 1)
        _require(len(decoder.read(2)) == 1, "its last frame is missing")


def _ogg(path: Path, file: BinaryIO, end: int) -> None:
    """Follow the pages, which are numbered; the last one has a mark."""
    del path
    position = count = flags = 0
    while position < end:
        head = _at(file, position, 27)
        sizes = _at(file, position + 27, head[26])
        _require(head[:4] == b"OggS", "a page is missing")
        flags, number = struct.unpack("<B12xI", head[5:22])
        _require(number == count, "a page is missing")
        count += 1
        position += 27 + len(sizes) + sum(sizes)
    _require(position == end and bool(flags & 4), "its last page is missing")


def _mp3(path: Path, file: BinaryIO, end: int) -> None:
    """Read the first frame, which says how many bytes there are."""
    del path
    start = 0
    while (head := _at(file, start, 10))[:3] == b"ID3":
        start += 10 + syncsafe(head[6:])
    if end - start >= 128 and _at(file, end - 128, 3) == b"TAG":
        end -= 128
    version, mono = head[1] >> 3 & 3, head[3] >> 6 == 3
    _require(head[0] == 0xFF and version != 1, "it has no first frame")
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    mark, flags, size = struct.unpack(">4sI4xI", _at(file, start + 4 + side, 16))
    _require(mark in (b"Xing", b"Info") and flags & 3 == 3, "its length was never filled in")
    _require(start + size == end, "its size is not what its header says")


def _mp4(path: Path, file: BinaryIO, end: int) -> None:
    position, names = 0, set()
    while position < end:
        size, name = struct.unpack(">I4s", _at(file, position, 8))
        if size == 1:
            size = struct.unpack(">Q", _at(file, position + 8, 8))[0]
        _require(size >= 8, "a size was never filled in")
        names.add(name)
        position += size
    _require(position == end, "it ends within its content")
    _require({b"moov", b"mdat"} <= names, "its table of contents is missing")


def _matroska(path: Path, file: BinaryIO, end: int) -> None:
    """Follow the elements of the file, and those of its outermost one."""
    del path
    position = 0
    while position < end:
        name, width = _number(file, position, keep=True)
        size, more = _number(file, position + width, keep=False)
        # An unknown size has ones in all of its bits: it was never filled in.
        _require(size != (1 << 7 * more) - 1, "its size was never filled in")
        position += width + more
        if name == _SEGMENT:
            _require(position + size == end, "its size is not what its header says")
        else:
            position += size
    _require(position == end, "it ends within its content")


def _number(file: BinaryIO, position: int, *, keep: bool) -> tuple[int, int]:
    """Return one of EBML's numbers, with or without the mark of its width, and the width."""
    first = _at(file, position, 1)[0]
    width = 9 - first.bit_length()
    _require(width <= 8, "it has an element without a size")
    value = int.from_bytes(_at(file, position, width), "big")
    return value if keep else value & (1 << 7 * width) - 1, width


_FOLLOWERS: Mapping[bytes, Callable[[Path, BinaryIO, int], None]] = {
    b"RIFF": _wav,
    b"RF64": _wav,
    b"FORM": _aiff,
    b"fLaC": _flac,
    b"OggS": _ogg,
    _EBML: _matroska,
}
