"""Holes in Ogg streams: libsndfile closes them, so that what follows would come early."""

from __future__ import annotations

from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import av

from .container import open_container
from .id3 import Behind

_ROUNDING = 0.02  # seconds: Vorbis clocks are off by half a window where windows change


def has_hole(path: Path, start: int) -> bool:
    """Return whether packets are missing in the middle of an Ogg file, by its packets' times.

    Nothing is decoded, and the answer is remembered: excerpts of one file are read many times.

    Args:
        path: the file.
        start: bytes of tags in front of the stream.
    """
    status = path.stat()
    return _has_hole(path, start, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _has_hole(path: Path, start: int, size: int, modified: int) -> bool:
    try:
        with path.open("rb") as whole:
            file: BinaryIO = BufferedReader(Behind(whole, start)) if start else whole
            with open_container(file) as container:
                stream = container.streams.audio[0]
                tick = float(stream.time_base or 0)
                due: int | None = None
                for packet in container.demux(stream):
                    if packet.pts is None:
                        due = None if due is None else due + (packet.duration or 0)
                        continue
                    if due is not None and (packet.pts - due) * tick > _ROUNDING:
                        return True
                    due = packet.pts + (packet.duration or 0)
    except (av.FFmpegError, IndexError, OSError, ValueError):
        return False  # the decoders say what is wrong
    return False
