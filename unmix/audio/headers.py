"""What the first and last bytes of a file say that the decoders do not report.

libsndfile reduces the length of a truncated WAV file to what is there, decodes only the first link
of a chained Ogg stream, and writes notes about odd MP3 files to stderr. So the kind of a file is
found here, which decides the decoder, and so is the length that the header promises.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from .boxes import is_cut
from .id3 import Behind, id3_end, tags_start
from .promises import of_aiff, of_au, of_caf, of_flac, of_nist, of_sox, of_w64, of_wav

_MAGIC = {
    b"fLaC": "flac",
    b"OggS": "ogg",
    b".snd": "au",
    b"2BIT": "avr",
    b"riff": "w64",
    b"caff": "caf",
    b"NIST": "nist",
    b"Crea": "voc",
    b".SoX": "sox",
    b"FLV\x01": "flv",
    b"\x1a\x45\xdf\xa3": "matroska",
    b"\x30\x26\xb2\x75": "asf",
}
#: The formats that libsndfile reads well, and what finds the length that they promise.
_PROMISES = {
    "wav": of_wav,
    "aiff": of_aiff,
    "flac": of_flac,
    "au": of_au,
    "w64": of_w64,
    "caf": of_caf,
    "nist": of_nist,
    "sox": of_sox,
}
_TAIL = 65536 + 4096  # an Ogg page has at most 65307 bytes


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is known of a file before a decoder opens it."""

    kind: str
    """"wav", "aiff", "flac", "ogg", "mpeg", ... or "" if the first bytes are unknown."""
    soundfile: bool
    """Whether libsndfile reads such a file completely."""
    promised: int | None = None
    """Samples per channel that the header promises; None if it does not, or cannot be believed."""
    cut: bool = False
    """Whether the end is missing for sure: an Ogg stream without its end marker, or a box that
    goes on behind the end of the file."""
    exact_length: bool = True
    """False if the length is a guess: MP3 without a frame count, chained Ogg, an untrue FLAC."""
    start: int = 0
    """Bytes of ID3 tags in front of it, which are not its own."""


def read_header(path: Path) -> Header:
    """Read the first and last bytes of a file.

    Raises:
        OSError: the file cannot be opened.
        ValueError: its header contradicts itself.
    """
    with path.open("rb") as file:
        start = id3_end(file)
        behind = cast(BinaryIO, Behind(file, start)) if start else file
        header = _look_at(behind)
        # FFmpeg reads the tags of an MP3 itself. After a tag, what has no other kind is one.
        if start and header.kind in ("", "mpeg"):
            exact = _has_length_frame(file, start)
            place = 0 if header.kind else start
            return Header(kind="mpeg", soundfile=False, exact_length=exact, start=place)
        return replace(header, start=start)


def _look_at(file: BinaryIO) -> Header:
    """Read a file, or what follows a tag in it."""
    file.seek(0)
    head = file.read(12)
    kind = _kind(head)
    if kind in _PROMISES:
        promise = _PROMISES[kind](file)
        believed = promise.filled_in
        # Of what was not filled in, no decoder knows the length.
        exact = believed or kind != "flac"
        return Header(
            kind=kind,
            soundfile=believed,
            promised=promise.samples,
            cut=is_cut(file, kind),
            exact_length=exact,
        )
    if kind == "ogg":
        return _ogg_header(file)
    if kind == "mpeg":
        return Header(kind="mpeg", soundfile=False, exact_length=_has_length_frame(file, 0))
    return Header(kind=kind, soundfile=kind == "voc", cut=is_cut(file, kind))


def _kind(head: bytes) -> str:
    """Return the kind of a file by its first twelve bytes; empty if they are unknown."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64"):
        return {b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12], "")
    if head[:4] == b"FORM":
        return "aiff" if head[8:11] == b"AIF" else ""
    if head[4:8] == b"ftyp":
        return "mp4"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "mpeg"
    return _MAGIC.get(head[:4], "")


def _ogg_header(file: BinaryIO) -> Header:
    """Compare the first page of an Ogg file with its last one.

    Another serial number at the end means several streams in a row, of which libsndfile decodes
    only the first; a last page without the end marker means that the file is truncated.
    """
    file.seek(0)
    first = file.read(27)
    end = file.seek(0, os.SEEK_END)
    end = tags_start(file, end)
    place = max(0, end - _TAIL)
    file.seek(place)
    tail = file.read(end - place)
    at = tail.rfind(b"OggS")
    last = tail[at : at + 27] if at >= 0 else b""
    if len(last) < 27:
        return Header(kind="ogg", soundfile=True, cut=True)
    chained = first[14:18] != last[14:18]
    sizes = tail[at + 27 : at + 27 + last[26]]
    cut = not last[5] & 4 or at + 27 + last[26] + sum(sizes) > len(tail)
    return Header(kind="ogg", soundfile=not chained, cut=cut, exact_length=not chained)


def _has_length_frame(file: BinaryIO, start: int) -> bool:
    """Return whether an MP3 file counts its frames (Xing, Info or VBRI), so its length is exact."""
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    frame = file.read(4096)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0:
        return b"VBRI" in frame
    flags, size = struct.unpack(">I4xI", frame[at + 4 : at + 16].ljust(12, b"\0"))
    # FFmpeg does not believe the count if much follows, such as a tag with a cover.
    follows = end - start - size
    return bool(flags & 3 != 3 or follows <= min(size, end - start) >> 4)
