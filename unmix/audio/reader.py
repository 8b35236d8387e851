"""Reading: any file with sound in it becomes a stream of float blocks ``[C, n]``.

libsndfile reads the formats it reads well; FFmpeg (PyAV) reads the rest, and takes over at the
sample where libsndfile gives up. Memory holds a few blocks at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np

from .._types import Samples
from ..errors import AudioError, AudioWarning
from .decoders import DecodeStopped
from .ffmpeg import FFmpegDecoder
from .info import AudioInfo
from .limits import check_length, check_limits
from .opening import look, open_decoder, with_promise
from .resample import Resampler
from .sources import Source, source_path

BLOCK = 65536
_MOST_LISTED = 5  # places in one warning


class AudioReader:
    """An open audio file; opened by ``open_audio``, closed by the ``with`` statement.

    Attributes:
        path: the file.
        info: what its header promises.
        warnings: sentences on what was repaired or is missing; complete at the end of the file.
        shortfalls: those of the warnings that say which part did not decode.
        complete: False as soon as a part is known not to have decoded.
        samples_read: samples per channel returned so far.
    """

    def __init__(
        self, path: Path, *, stream: int | None = None, max_duration: float | None = None
    ) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.shortfalls: list[str] = []
        self.complete = True
        self.samples_read = 0
        self._source = ExitStack()  # a copy of what has no path
        self._header = look(path)
        self._stream_index = stream
        self._decoder = open_decoder(path, self._header, stream)
        self.info: AudioInfo = with_promise(self._decoder.info, self._header)
        if stream is None and self.info.streams > 1:
            self.warnings.append(
                f"{path.name} has {self.info.streams} audio streams: stream {self.info.stream} "
                "was taken; --audio-stream N (audio_stream=N in Python) chooses another"
            )
        self._max_duration = max_duration
        try:
            check_limits(path.name, self.info, max_duration)
        except BaseException:
            self.close()
            raise
        self._decoded = 0
        self._repaired = 0

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.info.sample_rate

    @property
    def channels(self) -> int:
        """Count of audio channels."""
        return self.info.channels

    @property
    def repaired(self) -> int:
        """Count of samples so far that were NaN or infinity and became 0."""
        return self._repaired

    def blocks(self, size: int = BLOCK) -> Iterator[Samples]:
        """Yield the samples as C-contiguous float32 blocks ``[C, n]``, full scale 1.

        Values above full scale stay; NaN and infinity become 0, and a warning counts them. A
        second call continues where the first one stopped.

        Args:
            size: length of every block but the last, in samples per channel.

        Raises:
            AudioError: the sample rate or the channels change within the file.
            ValueError: ``size`` is less than 1.
        """
        if size < 1:
            raise ValueError(f"expected blocks of at least one sample, got {size}")
        for block in _reblocked(self._pieces(), self.channels, size):
            self.samples_read += block.shape[1]
            seconds = self.samples_read / self.sample_rate
            check_length(self.path.name, seconds, self._max_duration)
            yield block
        self._check_end()

    def check_complete(self) -> None:
        """Refuse a file that has not decoded completely; call it at the end.

        Raises:
            AudioError: a part is missing.
        """
        if not self.complete:
            raise AudioError("; ".join(self.shortfalls) + " (strict: nothing was done)")

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pieces(self) -> Iterator[Samples]:
        """Yield what the decoder returns; if it stops, continue with another one."""
        try:
            for piece in self._decoder.pieces():
                self._decoded += piece.shape[1]
                yield self._repair(piece)
        except DecodeStopped:
            skip = self._decoded
            for piece in self._other_pieces():
                fresh = piece[:, skip:]
                skip -= piece.shape[1] - fresh.shape[1]
                self._decoded += fresh.shape[1]
                yield self._repair(fresh)

    def _other_pieces(self) -> Iterator[Samples]:
        """Decode the file again with FFmpeg, at the rate and channels promised already."""
        self._decoder.close()
        try:
            decoder = FFmpegDecoder(self.path, self._header, self._stream_index)
        except AudioError:
            self.complete = False
            return
        self._decoder = decoder
        if decoder.info.channels != self.channels:
            self.complete = False
            return
        # libsndfile decodes Opus at its original rate, FFmpeg always at 48 kHz.
        resampler = Resampler(decoder.info.sample_rate, self.sample_rate, self.channels)
        for piece in decoder.pieces():
            yield resampler.push(piece)
        yield resampler.finish()

    def _repair(self, piece: Samples) -> Samples:
        """Replace NaN and infinity by 0, with one warning that counts them all."""
        finite = np.isfinite(piece)
        if finite.all():
            return piece
        first = self._repaired == 0
        self._repaired += int(piece.size - np.count_nonzero(finite))
        sentence = (
            f"{self.path.name} contains {self._repaired} samples that are NaN or infinite: "
            "they were replaced by 0"
        )
        if first:
            self._repair_at = len(self.warnings)
            self.warnings.append(sentence)
        else:
            self.warnings[self._repair_at] = sentence
        return np.where(finite, piece, np.float32(0))

    def _check_end(self) -> None:
        """Compare the decoded length with the promised one, and warn of what is missing."""
        decoder, info, name = self._decoder, self.info, self.path.name
        if not self._decoded and (info.length != 0 or self._header.cut):
            raise AudioError(
                f"{self.path} holds sound that does not decode: it is damaged, get it again"
            )
        promised = None if info.length_is_estimate else info.length
        decoded = f"decoded {self._decoded / info.sample_rate:.1f} s"
        missing = promised is not None and promised - self._decoded > decoder.tolerance
        if promised is not None and missing:
            total = f"{promised / info.sample_rate:.1f} s"
            self.shortfalls.append(f"{name} is cut short or damaged: {decoded} of {total}")
        elif self._header.cut or not self.complete:
            self.shortfalls.append(f"{name} is cut short: {decoded}, and the end is missing")
        # The end is there if all that was promised is: what follows is another program's.
        middle = [one for one in decoder.damage if promised is None or "end" not in one]
        if middle:
            self.shortfalls.append(f"{name} is damaged: {_listed(middle)}")
        self.complete = self.complete and not self.shortfalls
        self.warnings.extend(self.shortfalls)
        if decoder.notes:
            self.warnings.append(f"{name}: {_listed(decoder.notes)}")
        decoder.damage.clear()
        decoder.notes.clear()


def open_audio(
    path: Source, *, stream: int | None = None, max_duration: float | None = None
) -> AudioReader:
    """Open a file with sound in it.

    Args:
        path: the file; its format is recognized by its content, not its name. Pipes, bytes and
            open files are copied first: see ``source_path``.
        stream: index of the audio stream, from 0; default: the best one.
        max_duration: seconds; a longer file is an error, which may come while it is read.

    Raises:
        AudioError: there is no such file, it contains no audio, or it is too long.
    """
    with ExitStack() as stack:
        reader = AudioReader(
            stack.enter_context(source_path(path)), stream=stream, max_duration=max_duration
        )
        reader._source = stack.pop_all()
        return reader


@np.errstate(all="ignore")
def read_audio(
    path: Source,
    *,
    stream: int | None = None,
    strict: bool = False,
    max_duration: float | None = None,
) -> tuple[Samples, int]:
    """Return all samples ``[C, N]`` of a file, full scale 1, and their sample rate in Hz.

    A file that does not decode completely, or only after repairs, is an ``AudioWarning`` for each
    thing that is missing or repaired.

    Args:
        path: the file.
        stream: index of the audio stream, from 0; default: the best one.
        strict: whether a file that does not decode completely is an error instead.
        max_duration: seconds; a longer file is an error.

    Raises:
        AudioError: there is no such file, it contains no audio, or (strict) not all of it.
    """
    with open_audio(path, stream=stream) as reader:
        empty = np.zeros((reader.channels, 0), np.float32)
        samples = np.concatenate([empty, *reader.blocks()], axis=1)
        if strict:
            reader.check_complete()
        for sentence in reader.warnings:
            warnings.warn(sentence, AudioWarning, stacklevel=2)
        return samples, reader.sample_rate


def probe(path: str | PathLike[str], *, stream: int | None = None) -> AudioInfo:
    """Return what the header of a file promises, without decoding it.

    Raises:
        AudioError: there is no such file, or it contains no audio.
    """
    with open_audio(path, stream=stream) as reader:
        return reader.info


def _listed(sentences: list[str]) -> str:
    """Return sentences as one; the first few, and how many there are."""
    more = len(sentences) - _MOST_LISTED
    shown = sentences if more < 2 else [*sentences[:_MOST_LISTED], f"and {more} more"]
    return "; ".join(shown)


def _reblocked(pieces: Iterator[Samples], channels: int, size: int) -> Iterator[Samples]:
    """Cut pieces of any length into new blocks of ``size``; only the last may be shorter."""
    block = np.empty((channels, size), np.float32)
    filled = 0
    for piece in pieces:
        taken = 0
        while taken < piece.shape[1]:
            part = piece[:, taken : taken + size - filled]
            block[:, filled : filled + part.shape[1]] = part
            taken += part.shape[1]
            filled += part.shape[1]
            if filled == size:
                yield block
                block = np.empty((channels, size), np.float32)
                filled = 0
    if filled:
        yield np.ascontiguousarray(block[:, :filled])
