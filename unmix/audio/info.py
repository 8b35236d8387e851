"""What the header of an audio file promises."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """What the header of an audio file promises."""

    sample_rate: int
    """Hz."""
    channels: int
    """Count of audio channels."""
    length: int | None
    """Samples per channel; None if unknown."""
    container: str
    """Name of the file format: "wav", "flac", "ogg", "mp3", "mp4", ..."""
    codec: str
    """Name of the coding: "pcm_16", "float", "vorbis", "opus", "mp3", "aac", ..."""
    bit_depth: int | None = None
    """Bits per sample; None for codings without a bit depth."""
    lossy: bool = False
    """Whether the coding loses information."""
    bitrate: int | None = None
    """Average bits per second; None if unknown."""
    length_is_estimate: bool = False
    """Whether ``length`` was computed from a bit rate or belongs to the whole container."""

    stream: int = 0
    """Index of the audio stream, from 0."""
    streams: int = 1
    """Count of the file's audio streams; the others are left behind."""
    chapters: int = 0
    """Count of the file's chapters."""

    @property
    def duration(self) -> float | None:
        """Length in seconds; None if unknown."""
        return None if self.length is None else self.length / self.sample_rate


def libsndfile_name(path: Path) -> str | bytes:
    """Return a path for libsndfile: bytes, on systems whose names need not be valid UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)
