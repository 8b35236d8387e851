"""Writing: float blocks ``[C, n]`` become a whole file, or no file at all.

A file is whole when the encoder closed it, every byte was taken by the disk, and its header, read
back, promises what was written.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, suppress
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import soundfile

from .._types import Samples
from ..errors import AudioError
from ..storage import reach_disk, written_whole
from .checked_file import CheckedFile
from .encoders import Encoder, open_encoder
from .formats import OutputFormat
from .resample import Resampler
from .verification import check_written

#: What libraries raise when a disk is full or read-only; python-soundfile turns libsndfile's short
#: writes into an AssertionError.
_FAILURES = (OSError, soundfile.LibsndfileError, av.FFmpegError, AssertionError)


class AudioWriter:
    """A file that has a hidden name until it is whole.

    Leaving the ``with`` block by an exception, KeyboardInterrupt included, leaves nothing behind.

    Attributes:
        path: the file.
        written_sample_rate: Hz, of the file. It differs from the samples' rate where the format
            does not support that (opus, mp3, m4a); the writer then resamples.
        samples_written: samples per channel taken so far, at the samples' own rate.
        clipped: count of samples beyond full scale that an integer format had to clip.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        sample_rate: int,
        channels: int,
        format: OutputFormat,  # noqa: A002  (the natural word, and a keyword only)
        overwrite: bool = False,
        staged: bool = False,
    ) -> None:
        """Check everything that can be checked before the first sample, and open the file.

        Args:
            path: the file to write; missing folders are made.
            sample_rate: Hz, of the samples.
            channels: count of audio channels.
            format: what to write.
            overwrite: whether to replace an existing file.
            staged: whether ``path`` is hidden already, in a folder of ``storage.staging``: the file
                is then written straight to it.

        Raises:
            AudioError: the format cannot hold such samples, or the file exists or cannot be made.
        """
        self.path = Path(path)
        self.format = format
        self._staged = staged
        self.channels = channels
        self.sample_rate = sample_rate
        self.samples_written = 0
        self.clipped = 0
        self._encoded = 0
        format.check(channels, sample_rate)
        self.written_sample_rate = format.sample_rate_for(sample_rate)
        self._resampler = Resampler(sample_rate, self.written_sample_rate, channels)
        self._whole = ExitStack()
        self._encoder: Encoder | None = self._open(overwrite, staged)

    def write(self, block: Samples) -> None:
        """Append samples ``[C, n]``, full scale 1.

        Raises:
            AudioError: the disk is full, or the file cannot be written for another reason.
            ValueError: the block has another shape, or contains NaN or infinity.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected samples [{self.channels}, n], got {block.shape}")
        if not np.isfinite(block).all():
            raise ValueError("samples to write contain NaN or infinity")
        if self._encoder is None:
            raise ValueError(f"{self.path} is closed")
        self.samples_written += block.shape[1]
        self._encode(self._resampler.push(block))

    def close(self) -> None:
        """Complete the file and give it its name; without a ``with`` statement, call this.

        Raises:
            AudioError: the file cannot be completed; nothing is left behind.
        """
        if self._encoder is None:
            return
        try:
            self._encode(self._resampler.finish())
            if self._encoded == 0 and self.format.name in ("mp3", "opus", "m4a"):
                raise AudioError(
                    f"{self.path} would have no samples, which {self.format.name} does not allow: "
                    "use wav or flac"
                )
            try:
                self._encoder.close()
                self._check_whole(self._encoder.file)
                self._encoder = None
                self._whole.close()
            except _FAILURES as error:
                raise self._error(error) from error
        except BaseException as error:
            self._give_up(error)
            raise

    def abandon(self) -> None:
        """Give up: close the file and remove it."""
        self._give_up(GeneratorExit())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        """Let the file end as a ``with`` block does that raises this error."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            with suppress(*_FAILURES):
                encoder.abandon()
        self._whole.__exit__(type(error), error, error.__traceback__)

    def _check_whole(self, file: CheckedFile) -> None:
        """Look at the file on the disk: its size, and the length that its header promises."""
        file.check()
        if not self._staged:  # else other things are still written to it
            reach_disk(self._target)
        try:
            check_written(self._target, length=self._encoded, sample_rate=self.written_sample_rate)
        except AudioError as error:
            raise AudioError(str(error).replace(str(self._target), str(self.path))) from error

    def _encode(self, block: Samples) -> None:
        if self._encoder is None or block.shape[1] == 0:
            return
        if not self.format.is_float:
            self.clipped += int(np.count_nonzero(np.abs(block) > 1))
        self._encoded += block.shape[1]
        try:
            self._encoder.write(block)
        except _FAILURES as error:
            raise self._error(error) from error

    def _open(self, overwrite: bool, staged: bool) -> Encoder:
        if self.path.is_dir():
            raise AudioError(f"{self.path} is a folder: choose another name")
        if self.path.exists() and not overwrite:
            raise AudioError(f"{self.path} {_EXISTS}")
        target = self.path
        try:
            if not staged:
                whole = written_whole(self.path, overwrite=overwrite)
                target = self._whole.enter_context(whole)
            self._target = target
            return open_encoder(
                target,
                sample_rate=self.written_sample_rate,
                channels=self.channels,
                output_format=self.format,
            )
        except _FAILURES as error:
            self._encoder = None
            self._give_up(error)
            raise self._error(error) from error

    def _error(self, error: BaseException) -> AudioError:
        """Turn a library's error into one sentence with a remedy."""
        path, folder = self.path, self.path.parent
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, FileExistsError) and path.exists():
            return AudioError(f"{path} {_EXISTS}")
        if folder.exists() and not folder.is_dir():
            return AudioError(f"{path} cannot be written: {folder} is not a folder")
        if number in (errno.EACCES, errno.EPERM, errno.EROFS) or not os.access(folder, os.W_OK):
            return AudioError(f"{path} cannot be written: {folder} is not writable")
        if number in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return AudioError(f"{path} cannot be written: is there room on the disk?")
        reason = error.strerror if isinstance(error, OSError) else None
        return AudioError(f"{path} cannot be written: {reason or error}; check the disk")


_EXISTS = "exists already: choose another name, or allow overwriting"
