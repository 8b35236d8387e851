"""Encoders for every format but WAV: libsndfile's, and FFmpeg's AAC."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock, current_thread, main_thread
from typing import Protocol, TypeVar

import av
import numpy as np
import soundfile
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from .._types import Samples
from .channels import LAYOUT_NAMES, VORBIS_ORDER
from .checked_file import CheckedFile
from .formats import OutputFormat
from .wav import WavEncoder, to_integers

_T = TypeVar("_T")
_PIECE = 16384  # samples at once: libvorbis puts all of a call on the stack
_SUBTYPES = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
#: Bits per second of stereo Vorbis for libsndfile's compression levels 0, 0.1, ... 1.
_VORBIS_RATES = (500, 320, 256, 224, 192, 160, 128, 112, 96, 80, 64)
_OPUS_RANGE = (6000, 256_000)  # bits/s per channel at libsndfile's compression levels 1 and 0


class Encoder(Protocol):
    """A file that grows block by block."""

    file: CheckedFile
    """The file, which the library may have written without looking at the errors."""

    def write(self, block: Samples) -> None:
        """Append samples ``[C, n]``."""
        ...

    def close(self) -> None:
        """Complete the file and close it.

        Raises:
            OSError: a part of it was not written.
        """
        ...

    def abandon(self) -> None:
        """Close the file without completing it."""
        ...


class _Undisturbed:
    """Calls a library one at a time, and where no signal can interrupt it.

    While it writes to a file object, libsndfile drops what is raised, such as KeyboardInterrupt,
    which only the main thread raises: it would be lost, and bytes with it. An interrupted main
    thread may give up while another one still encodes, hence the lock.
    """

    def __init__(self) -> None:
        self._lock = Lock()

    def __call__(self, call: Callable[[], _T]) -> _T:
        if current_thread() is not main_thread():
            return self._alone(call)
        with ThreadPoolExecutor(1) as thread:
            try:
                job = thread.submit(self._alone, call)
            except RuntimeError:  # the interpreter is ending, and starts no more threads
                return self._alone(call)
            return job.result()

    def _alone(self, call: Callable[[], _T]) -> _T:
        with self._lock:
            return call()


class SoundFileEncoder:
    """Encoding of flac, aiff, mp3, ogg and opus by libsndfile.

    An MP3 has a constant bit rate, and a header with the encoder's delay and padding, so that it
    plays with its exact length. The bit rate of Ogg Vorbis is approximate.
    """

    def __init__(
        self, path: Path, *, sample_rate: int, channels: int, output_format: OutputFormat
    ) -> None:
        self._bits = output_format.bit_depth
        self._empty_flac = _flac_header(sample_rate, channels, self._bits or 16)
        name = output_format.name
        order = VORBIS_ORDER.get(channels) if name in ("ogg", "opus") else None
        self._rows = None if order is None else list(order)
        container, subtype = _SUBTYPES.get(name, (name.upper(), f"PCM_{self._bits}"))
        self.file = CheckedFile(path)
        self._undisturbed = _Undisturbed()
        try:
            self._file = self._undisturbed(
                lambda: soundfile.SoundFile(
                    self.file,
                    "w",
                    samplerate=sample_rate,
                    channels=channels,
                    format=container,
                    subtype=subtype,
                    compression_level=_compression(output_format, sample_rate, channels),
                    bitrate_mode="CONSTANT" if name == "mp3" else None,
                )
            )
        except BaseException:
            self.file.close()
            raise

    def write(self, block: Samples) -> None:
        """Append samples ``[C, n]``."""
        self._undisturbed(lambda: self._write(block))

    def _write(self, block: Samples) -> None:
        if self.file.closed:  # given up, before another thread came to this
            return
        for start in range(0, block.shape[1], _PIECE):
            piece = block[:, start : start + _PIECE]
            if self._rows is not None:
                piece = piece[self._rows]
            if self._bits is None:
                self._file.write(np.ascontiguousarray(piece.T))
            else:
                # libsndfile uses the upper bits of 32; its own scaling of floats is not exact.
                integers = to_integers(piece, self._bits) << (32 - self._bits)
                self._file.write(np.ascontiguousarray(integers.T))
            self.file.check()

    def close(self) -> None:
        """Complete the file and close it."""
        empty = self._file.format == "FLAC" and self._file.frames == 0
        try:
            self._undisturbed(self._file.close)
            if empty:  # libsndfile writes the header only with the first samples
                self.file.write(self._empty_flac)
        finally:
            self.file.close()
        self.file.check()

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._undisturbed(self._give_up)

    def _give_up(self) -> None:
        with suppress(soundfile.LibsndfileError):
            self._file.close()
        self.file.close()


def _flac_header(sample_rate: int, channels: int, bits: int) -> bytes:
    """Return a whole FLAC file without samples: its marker and the block STREAMINFO."""
    sizes = (4096).to_bytes(2, "big") * 2 + bytes(6)
    form = sample_rate << 44 | (channels - 1) << 41 | (bits - 1) << 36
    return b"fLaC" + bytes([0x80, 0, 0, 34]) + sizes + form.to_bytes(8, "big") + bytes(16)


def _compression(output_format: OutputFormat, sample_rate: int, channels: int) -> float | None:
    """Return libsndfile's compression level, in [0, 1], for a bit rate."""
    bitrate = output_format.bitrate_for(sample_rate)
    if bitrate is None:
        return None
    if output_format.name == "mp3":
        low, high = (32, 320) if sample_rate >= 32000 else (8, 160 if sample_rate >= 16000 else 64)
        return min((high - bitrate / 1000) / (high - low), 0.9999)  # libsndfile fails at 1
    if output_format.name == "opus":
        low, high = _OPUS_RANGE
        return float(np.clip((high - bitrate / channels) / (high - low), 0, 1))
    stereo = bitrate / 1000 * 2 / channels * 44100 / sample_rate
    levels = np.linspace(1, 0, len(_VORBIS_RATES))
    return float(np.interp(stereo, _VORBIS_RATES[::-1], levels))


class AacEncoder:
    """Encoding of AAC in an m4a file by FFmpeg.

    The movie's clock counts samples, so that its edit list has the exact delay and length.
    """

    def __init__(
        self, path: Path, *, sample_rate: int, channels: int, output_format: OutputFormat
    ) -> None:
        self._rate = sample_rate
        self._layout = LAYOUT_NAMES[channels]
        self._position = 0
        self.file = CheckedFile(path)
        self._undisturbed = _Undisturbed()
        try:
            options = {"movie_timescale": str(sample_rate)}
            self._container = av.open(self.file, "w", format="ipod", container_options=options)
            stream = self._container.add_stream("aac", rate=sample_rate, layout=self._layout)
            assert isinstance(stream, AudioStream)
            stream.bit_rate = output_format.bitrate or 0
            self._stream = stream
        except BaseException:
            self.file.close()
            raise

    def write(self, block: Samples) -> None:
        """Append samples ``[C, n]``."""
        self._undisturbed(lambda: self._write(block))

    def _write(self, block: Samples) -> None:
        if self.file.closed:  # given up, before another thread came to this
            return
        for start in range(0, block.shape[1], _PIECE):
            piece = np.ascontiguousarray(block[:, start : start + _PIECE])
            frame = AudioFrame.from_ndarray(piece, format="fltp", layout=self._layout)
            frame.sample_rate = self._rate
            frame.pts = self._position
            self._position += piece.shape[1]
            self._container.mux(self._stream.encode(frame))
            self.file.check()

    def close(self) -> None:
        """Complete the file and close it."""
        try:
            self._undisturbed(self._complete)
        finally:
            self.file.close()
        self.file.check()

    def _complete(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._undisturbed(self._give_up)

    def _give_up(self) -> None:
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()
        self.file.close()


def open_encoder(
    path: Path, *, sample_rate: int, channels: int, output_format: OutputFormat
) -> Encoder:
    """Open a new file of a format for writing.

    Raises:
        OSError: the file cannot be made.
    """
    if output_format.name == "wav":
        bits = output_format.bit_depth or 16
        return WavEncoder(path, sample_rate=sample_rate, channels=channels, bits=bits)
    encoder = AacEncoder if output_format.name == "m4a" else SoundFileEncoder
    return encoder(path, sample_rate=sample_rate, channels=channels, output_format=output_format)
