"""What a decoder does, and the decoder of libsndfile."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from .._types import Samples
from .channels import VORBIS_ORDER
from .headers import Header
from .id3 import Behind
from .info import AudioInfo, libsndfile_name
from .ogg import has_hole

#: Samples per channel to decode at once: enough to be fast, few enough to stream.
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
_MAX_LENGTH = 1 << 60  # libsndfile returns about 2**63 where it does not know


class DecodeStopped(Exception):  # noqa: N818  (not a failure: another decoder takes over)
    """The decoder cannot continue; what it has decoded so far is correct."""


class Decoder(Protocol):
    """An open file, decoded once, in pieces of any length."""

    info: AudioInfo
    damage: list[str]
    """What was wrong inside and was repaired, without the file's name."""
    notes: list[str]
    """What is odd inside, but cost no sound, without the file's name."""
    tolerance: int
    """Samples per channel that may be missing at the end of an undamaged file."""

    def pieces(self) -> Iterator[Samples]:
        """Yield samples ``[C, n]``; raise ``DecodeStopped`` where the decoder cannot continue."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class SoundFileDecoder:
    """Decoding by libsndfile: exact, fast and seekable, for the formats it reads well."""

    def __init__(self, path: Path, header: Header) -> None:
        """Open the file.

        Raises:
            DecodeStopped: libsndfile cannot read the file, or does not know its length.
        """
        try:
            self._file = soundfile.SoundFile(_source(path, header))
        except (soundfile.LibsndfileError, OSError) as error:
            raise DecodeStopped(str(error)) from error
        if not 0 <= self._file.frames < _MAX_LENGTH:
            self._file.close()
            raise DecodeStopped("no length in the header")
        self.info = _info(self._file, path, header)
        self.damage: list[str] = []
        self.notes: list[str] = []
        # A lost Ogg page and a granule position that starts late look the same; the length of MP3
        # in a WAV is a guess of some frames.
        uncertain = self.info.container == "ogg" or self.info.codec.startswith("mpeg")
        self.tolerance = self.info.sample_rate // 10 if uncertain else 0
        order = VORBIS_ORDER.get(self.info.channels) if self.info.container == "ogg" else None
        self._rows = None if order is None else np.argsort(order)
        self._path, self._header = path, header

    def pieces(self) -> Iterator[Samples]:
        """Yield samples ``[C, n]`` from the current position.

        Raises:
            DecodeStopped: another decoder keeps the time where packets are missing.
        """
        self._check_holes()
        while True:
            piece = self._read(PIECE)
            if piece.shape[1] == 0:
                return
            yield piece

    def excerpt(self, start: int, length: int) -> Samples:
        """Return samples ``[C, length]`` from ``start``; fewer if the file ends before.

        libsndfile sometimes seeks to a wrong sample in Vorbis (5 of 300 in a song, by 79 samples or
        at the end) and in the last page of Opus: decode up to ``start`` instead.

        Raises:
            DecodeStopped: another decoder does this better.
        """
        self._check_holes()
        frames, near = self._file.frames, self.info.sample_rate
        start = min(start, frames)
        jump = start
        if self.info.codec == "vorbis":
            if start > _VORBIS_WALK * near:
                raise DecodeStopped("too far to decode up to")
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

    def _check_holes(self) -> None:
        if self.info.container == "ogg" and has_hole(self._path, self._header.start):
            raise DecodeStopped("packets are missing")

    def _read(self, length: int) -> Samples:
        try:
            frames = self._file.read(length, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise DecodeStopped(str(error)) from error
        samples = frames.T if self._rows is None else frames.T[self._rows]
        return np.ascontiguousarray(samples, dtype=np.float32)


def _source(path: Path, header: Header) -> str | bytes | BinaryIO:
    """Return what libsndfile opens: the file, or what lies behind the tags in front of it."""
    if not header.start:
        return libsndfile_name(path)
    return BufferedReader(Behind(path.open("rb"), header.start))


def _info(file: soundfile.SoundFile, path: Path, header: Header) -> AudioInfo:
    container = file.format.lower()
    lossy = file.subtype in ("VORBIS", "OPUS") or file.subtype.startswith(("MPEG", "GSM", "MS_"))
    seconds = file.frames / file.samplerate
    return AudioInfo(
        sample_rate=file.samplerate,
        channels=file.channels,
        length=max(file.frames, header.promised or 0),
        container=_CONTAINERS.get(container, container),
        codec=file.subtype.lower(),
        bit_depth=_BIT_DEPTHS.get(file.subtype),
        lossy=lossy or "ADPCM" in file.subtype,
        bitrate=round(path.stat().st_size * 8 / seconds) if seconds else None,
    )
