"""ID3 tags in front of files that are no MP3: what follows them is read as a file of its own."""

from __future__ import annotations

import errno
import os
from io import RawIOBase
from typing import Any, BinaryIO

_HEAD = 10  # bytes
_MOST_ZEROS = 1 << 16
_FOOTER = 0x10  # flag: the header comes again at the end


def syncsafe(size: bytes) -> int:
    """Return a size that ID3 writes in four bytes, with seven bits in each."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))


def id3_end(file: BinaryIO) -> int:
    """Return the number of bytes that ID3v2 tags take at the beginning of a file."""
    end = 0
    while True:
        file.seek(end)
        head = file.read(_HEAD)
        if len(head) < _HEAD or head[:3] != b"ID3" or max(head[6:]) > 127 or 255 in head[3:5]:
            return _zeros_end(file, end) if end else 0
        end += _HEAD * (2 if head[5] & _FOOTER else 1) + syncsafe(head[6:])


def tags_start(file: BinaryIO, end: int) -> int:
    """Return where the tags begin that follow the sound: ID3v1, or ID3v2 with a footer."""
    while True:
        file.seek(max(0, end - 128))
        tail = file.read(min(end, 128))
        foot = tail[-_HEAD:]
        if len(tail) == 128 and tail[:3] == b"TAG":
            end -= 128
        elif foot[:3] == b"3DI" and max(foot[6:]) < 128:
            end -= 2 * _HEAD + syncsafe(foot[6:])
        else:
            return max(end, 0)
        if end <= 0:
            return 0


def _zeros_end(file: BinaryIO, start: int) -> int:
    """Return where the zeros end that some writers leave between a tag and the sound."""
    file.seek(start)
    block = file.read(_MOST_ZEROS)
    zeros = len(block) - len(block.lstrip(b"\0"))
    if block[zeros + 1 : zeros + 5] == b"ftyp":
        zeros -= 3  # an MP4 begins with its box's size
    return start + zeros if 4 <= zeros < len(block) else start


class Behind(RawIOBase):
    """What lies behind the first bytes of a file, as a file that is read; it closes the other."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._start = start
        file.seek(start)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; return how many bytes."""
        view = memoryview(buffer).cast("B")
        data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another place; return it, or a negative number if there is no such place."""
        place = offset + self._start if whence == os.SEEK_SET else offset
        if whence == os.SEEK_SET and offset < 0:
            return -errno.EINVAL
        try:
            return self._file.seek(place, whence) - self._start
        except (OSError, OverflowError, ValueError):
            return -errno.EINVAL  # of an exception, PyAV prints the traceback

    def tell(self) -> int:
        """Return the place in bytes."""
        return self._file.tell() - self._start

    def close(self) -> None:
        """Close both files."""
        self._file.close()
        super().close()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True
