"""A new file for libraries that lose the errors of writing."""

from __future__ import annotations

import os
from errno import EIO
from io import RawIOBase
from pathlib import Path
from typing import Any


class CheckedFile(RawIOBase):
    """A new file that never raises while a library writes it, and remembers its first error.

    libsndfile does not look at what its last write returns, and neither it nor FFmpeg passes on
    an exception of a file object. Here everything after a failed write is dropped, and ``check``
    raises what went wrong.
    """

    def __init__(self, path: Path) -> None:
        """Make the file.

        Raises:
            OSError: it cannot be made.
        """
        self._path = path
        self._file = path.open("w+b", buffering=0)
        self._end = 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error of writing, if there was one.

        Raises:
            OSError: a part of the file was not written, or is not there any more.
        """
        if self._error is not None:
            raise self._error
        self._require_size(self._path.stat().st_size)

    def write(self, data: Any) -> int:
        """Write all the bytes; pretend to if it is not possible any more."""
        left = memoryview(data).cast("B")
        count = len(left)
        try:
            # Else a file that was cut by another process would be filled up with zeros.
            self._require_size(os.fstat(self._file.fileno()).st_size)
            while len(left) and self._error is None:
                left = left[self._file.write(left) :]
            self._end = max(self._end, self._file.tell())
        except OSError as error:
            self._error = self._error or error
        return count

    def _require_size(self, size: int) -> None:
        if size < self._end:
            missing = f"{self._end - size} bytes of it are missing: another program has cut it"
            raise OSError(EIO, missing)

    def readinto(self, buffer: Any) -> int:
        """Read bytes that were written; 0 after an error."""
        view = memoryview(buffer).cast("B")
        data = b""
        try:
            if self._error is None:
                data = self._file.read(len(view))
        except OSError as error:
            self._error = error
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another place; return it."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self._error = self._error or error
            return self._file.tell()

    def tell(self) -> int:
        """Return the place in bytes."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file; an error is left for ``check``."""
        if self.closed:
            return
        try:
            self._file.close()
        except OSError as error:  # network file systems report here what they did not write
            self._error = self._error or error
        super().close()

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True
