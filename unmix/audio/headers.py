"""What the first and last bytes of a file say that the decoders do not report.

libsndfile reduces the length of a truncated WAV file to what is there, decodes only the first link
of a chained Ogg stream, and writes notes about odd MP3 files to stderr. So the kind of a file is
found here, which decides the decoder, and so is the length that the header promises.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

#: First bytes of the formats that libsndfile reads well.
_SOUNDFILE_MAGIC = {
    b"RIFF": "wav",
    b"RIFX": "wav",
    b"RF64": "wav",
    b"FORM": "aiff",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b".snd": "au",
    b"riff": "w64",
    b"caff": "caf",
    b"NIST": "nist",
    b"Crea": "voc",
}
#: A WAV that is written to a pipe cannot know its size: writers put this or more.
_UNKNOWN_SIZE = 0x7FFF0000
_TAIL = 65536 + 4096  # an Ogg page has at most 65307 bytes


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is known of a file before a decoder opens it."""

    kind: str
    """"wav", "aiff", "flac", "ogg", "mpeg", ... or "" if the first bytes are unknown."""
    soundfile: bool
    """Whether libsndfile reads such a file completely."""
    promised: int | None = None
    """Samples per channel that the header promises, if the decoder does not report them."""
    endless: bool = False
    """Whether it is an Ogg stream without its end marker, hence truncated."""
    exact_length: bool = True
    """False if the length is a guess: MP3 without a frame count, chained Ogg."""


def read_header(path: Path) -> Header:
    """Read the first and last bytes of a file.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(12)
        kind = _SOUNDFILE_MAGIC.get(head[:4], "")
        if kind == "wav" and head[8:12] == b"WAVE":
            return _wav_header(file, little=head[:4] != b"RIFX")
        if kind == "aiff" and head[8:11] == b"AIF":
            return Header(kind=kind, soundfile=True, promised=_aiff_promise(file))
        if kind == "ogg":
            return _ogg_header(file)
        if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
            return Header(kind="mpeg", soundfile=False, exact_length=_has_length_frame(file))
        return Header(kind=kind, soundfile=bool(kind))


def _chunks(file: BinaryIO, *, little: bool) -> Iterator[tuple[bytes, int, int]]:
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


def _wav_header(file: BinaryIO, *, little: bool) -> Header:
    """Find how many samples the header of a WAV or RF64 file promises, if any."""
    end = file.seek(0, os.SEEK_END)
    order = "<" if little else ">"
    block = 0
    long_size: int | None = None
    for name, size, position in _chunks(file, little=little):
        file.seek(position)
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"fmt ":
            content = file.read(16)
            if len(content) == 16:
                tag, _, _, _, align = struct.unpack(order + "HHIIH", content[:14])
                block = align if tag in (0x0001, 0x0003, 0xFFFE) else 0
        elif name == b"data":
            promise = long_size if size == 0xFFFFFFFF and long_size else size
            streamed = promise >= _UNKNOWN_SIZE and promise > end - position
            if promise == 0 and end > position and not _is_chunk(file, position, end):
                # The size was never filled in; libsndfile would find no samples.
                return Header(kind="wav", soundfile=False)
            promised = None if streamed or not block else promise // block
            return Header(kind="wav", soundfile=True, promised=promised)
    return Header(kind="wav", soundfile=True)


def _is_chunk(file: BinaryIO, position: int, end: int) -> bool:
    """Return whether another chunk starts here: a printable name and a size within the file."""
    file.seek(position)
    head = file.read(8)
    if len(head) < 8 or not all(32 <= byte < 127 for byte in head[:4]):
        return False
    size: int = struct.unpack("<I", head[4:])[0]
    return position + 8 + size <= end


def _aiff_promise(file: BinaryIO) -> int | None:
    """Return the samples per channel of an AIFF file's COMM chunk."""
    for name, size, position in _chunks(file, little=False):
        if name == b"COMM" and size >= 18:
            file.seek(position + 2)
            frames = int.from_bytes(file.read(4), "big")
            return frames if 0 < frames < _UNKNOWN_SIZE else None
    return None


def _ogg_header(file: BinaryIO) -> Header:
    """Compare the first page of an Ogg file with its last one.

    Another serial number at the end means several streams in a row, of which libsndfile decodes
    only the first; a last page without the end marker means that the file is truncated.
    """
    file.seek(0)
    first = file.read(27)
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL))
    tail = file.read()
    at = tail.rfind(b"OggS")
    last = tail[at : at + 27] if at >= 0 else b""
    if len(last) < 27:
        return Header(kind="ogg", soundfile=True, endless=True)
    chained = first[14:18] != last[14:18]
    sizes = tail[at + 27 : at + 27 + last[26]]
    cut = not last[5] & 4 or at + 27 + last[26] + sum(sizes) > len(tail)
    return Header(kind="ogg", soundfile=not chained, endless=cut, exact_length=not chained)


def _has_length_frame(file: BinaryIO) -> bool:
    """Return whether an MP3 file counts its frames (Xing, Info or VBRI), so its length is exact."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )
    file.seek(start)
    frame = file.read(4096)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))
