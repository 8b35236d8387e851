"""What an audio file says of itself: the one record that reader, writer and command line share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """What the header of an audio file promises.

    Attributes:
        sample_rate: In Hz.
        channels: Count of audio channels.
        length: Samples per channel, as the header promises; None where it says nothing.
        container: Name of the file format: "wav", "flac", "ogg", "mp3", "mp4", ...
        codec: Name of the coding inside: "pcm_16", "float", "vorbis", "opus", "mp3", "aac", ...
        bit_depth: Bits of a sample where the coding has such a thing, else None.
        lossy: Whether the coding throws something away.
        bitrate: Average bits per second where known.
        length_is_estimate: True where `length` was computed from a bit rate or belongs to the
            whole container; good for a progress bar, not a promise.
    """

    sample_rate: int
    channels: int
    length: int | None
    container: str
    codec: str
    bit_depth: int | None = None
    lossy: bool = False
    bitrate: int | None = None
    length_is_estimate: bool = False

    @property
    def duration(self) -> float | None:
        """Length in seconds, or None where the header does not say."""
        return None if self.length is None else self.length / self.sample_rate


def libsndfile_name(path: Path) -> str | bytes:
    """Return a path as libsndfile opens it: by its bytes where names need not be valid UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)
