"""The contract of a decoder, and the decoder that libsndfile gives us."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from .channels import VORBIS_ORDER
from .headers import Header
from .info import AudioInfo, libsndfile_name

#: Samples per channel asked of a decoder at once: large enough to be fast, small enough to stream.
PIECE = 65536

_BIT_DEPTHS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "FLOAT": 32,
    "DOUBLE": 64,
    "ALAC_16": 16,
    "ALAC_20": 20,
    "ALAC_24": 24,
    "ALAC_32": 32,
}
_CONTAINERS = {"wavex": "wav", "rf64": "wav", "mpeg": "mp3"}
_VORBIS_WALK = 20  # seconds of Vorbis decoded to reach an excerpt; 20 ms of work
_MAX_LENGTH = 1 << 60  # libsndfile says about 2**63 where it does not know


class DecodeStopped(Exception):  # noqa: N818  (not an error of its own: another decoder goes on)
    """The decoder cannot go on; what it gave so far is right."""


class Decoder(Protocol):
    """An open file that gives its samples once, in pieces of any length."""

    info: AudioInfo
    #: What went wrong inside and was mended, as sentences without the file's name.
    damage: list[str]
    #: Samples per channel that may be missing at the end without meaning anything.
    tolerance: int

    def pieces(self) -> Iterator[NDArray[np.float32]]:
        """Yield samples ``[C, n]``; raise `DecodeStopped` where the decoder cannot go on."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class SoundFileDecoder:
    """libsndfile: exact, fast and seekable, for the formats it knows well."""

    def __init__(self, path: Path, header: Header) -> None:
        """Open the file.

        Raises:
            DecodeStopped: libsndfile cannot read the file, or not its length.
        """
        try:
            self._file = soundfile.SoundFile(libsndfile_name(path))
        except (soundfile.LibsndfileError, OSError) as error:
            raise DecodeStopped(str(error)) from error
        if not 0 <= self._file.frames < _MAX_LENGTH:
            self._file.close()
            raise DecodeStopped("no length in the header")
        self.info = _info(self._file, path, header)
        self.damage: list[str] = []
        # A lost Ogg page and a granule that starts late look the same: be lenient there.
        self.tolerance = self.info.sample_rate // 10 if self.info.container == "ogg" else 0
        order = VORBIS_ORDER.get(self.info.channels) if self.info.container == "ogg" else None
        self._rows = None if order is None else np.argsort(order)

    def pieces(self) -> Iterator[NDArray[np.float32]]:
        """Yield samples ``[C, n]`` from where the file stands."""
        while True:
            piece = self._read(PIECE)
            if piece.shape[1] == 0:
                return
            yield piece

    def excerpt(self, start: int, length: int) -> NDArray[np.float32]:
        """Return samples ``[C, length]`` from `start`, fewer where the file ends before.

        libsndfile's jumps in Vorbis land beside the mark now and then (5 of 300 in a song, by 79
        samples or at the end), and in the last page of Opus: read up to the mark instead.

        Raises:
            DecodeStopped: Another decoder is better at this.
        """
        frames, near = self._file.frames, self.info.sample_rate
        start = min(start, frames)
        jump = start
        if self.info.codec == "vorbis":
            if start > _VORBIS_WALK * near:
                raise DecodeStopped("too far to read up to")
            jump = 0
        elif self.info.codec == "opus":
            jump = max(0, min(start, frames - near) - near // 4)
        try:
            self._file.seek(jump)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise DecodeStopped(str(error)) from error
        return self._read(min(start + length, frames) - jump)[:, start - jump :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, length: int) -> NDArray[np.float32]:
        try:
            frames = self._file.read(length, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise DecodeStopped(str(error)) from error
        samples = frames.T if self._rows is None else frames.T[self._rows]
        return np.ascontiguousarray(samples, dtype=np.float32)


def _info(file: soundfile.SoundFile, path: Path, header: Header) -> AudioInfo:
    container = file.format.lower()
    lossy = file.subtype in ("VORBIS", "OPUS") or file.subtype.startswith(("MPEG", "GSM", "MS_"))
    length = max(file.frames, header.promised or 0)
    seconds = file.frames / file.samplerate
    return AudioInfo(
        sample_rate=file.samplerate,
        channels=file.channels,
        length=length,
        container=_CONTAINERS.get(container, container),
        codec=file.subtype.lower(),
        bit_depth=_BIT_DEPTHS.get(file.subtype),
        lossy=lossy or "ADPCM" in file.subtype,
        bitrate=round(path.stat().st_size * 8 / seconds) if seconds else None,
    )
