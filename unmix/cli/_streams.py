"""Standard streams that may be closed, full, or left by their reader: the work is done anyway."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO


class PatientStream:
    """A text stream that drops what cannot be written, and remembers the first error.

    Its descriptor then leads to nowhere, or the interpreter would fail once more at its end.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        if self.error is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Write what is held back, or drop it."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.error = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def prepare_streams() -> None:
    """Let any text be printed, and any stream be missing.

    Names of files are printed as their bytes if the encoding allows, else escaped.
    """
    _open_closed()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed when Python started, or a program without a console
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
            setattr(sys, name, PatientStream(stream))


def lost_output() -> OSError | None:
    """Return why results could not be printed; None if they were, or nobody wants to read them."""
    stream: object = sys.stdout
    if not isinstance(stream, PatientStream):
        return None
    stream.flush()
    return None if isinstance(stream.error, BrokenPipeError) else stream.error


def _open_closed() -> None:
    """Occupy the numbers of closed streams: a song that got one would be written over by notes."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
