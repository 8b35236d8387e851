"""Writing: float blocks ``[C, n]`` become a whole file, or no file at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from ..errors import AudioError
from .encoders import Encoder, open_encoder
from .formats import OutputFormat
from .resample import Resampler

#: What goes wrong when a disk is full or read-only, whichever library meets it. libsndfile's short
#: writes are an AssertionError in python-soundfile.
_FAILURES = (OSError, soundfile.LibsndfileError, av.FFmpegError, AssertionError)


class AudioWriter:
    """A file under a hidden temporary name that gets its own name when it is whole.

    Leaving the `with` block by an exception, KeyboardInterrupt included, leaves nothing behind.

    Attributes:
        path: The name the file gets.
        written_sample_rate: The rate of the file in Hz; another than the samples' rate where the
            format does not know that (opus, mp3, m4a): then the writer resamples.
        samples_written: Samples per channel taken so far, at the samples' own rate.
        clipped: Samples beyond full scale that an integer format had to clip.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        sample_rate: int,
        channels: int,
        format: OutputFormat,  # noqa: A002  (the natural word, and a keyword only)
        overwrite: bool = False,
        finalize: Callable[[Path], object] | None = None,
    ) -> None:
        """Check everything that can be checked before the first sample, and open the file.

        Args:
            path: The file to make; missing folders are made.
            sample_rate: Rate of the samples in Hz.
            channels: Count of audio channels.
            format: What to write.
            overwrite: Whether a file of that name may be replaced.
            finalize: Called with the whole file under its temporary name before it gets its own:
                the place to write tags.

        Raises:
            AudioError: The format cannot hold such samples, the file exists, or cannot be made.
        """
        self.path = Path(path)
        self.format = format
        self.channels = channels
        self.sample_rate = sample_rate
        self.samples_written = 0
        self.clipped = 0
        self._encoded = 0
        format.check(channels, sample_rate)
        self.written_sample_rate = format.sample_rate_for(sample_rate)
        self._overwrite = overwrite
        self._finalize = finalize
        self._resampler = Resampler(sample_rate, self.written_sample_rate, channels)
        self._refuse_existing()
        self._temporary = self._temporary_name()
        self._encoder: Encoder | None = self._open()

    def write(self, block: NDArray[np.float32]) -> None:
        """Append samples ``[C, n]``, full scale 1.

        Raises:
            AudioError: The disk is full, or the file cannot be written for another reason.
            ValueError: The block has another shape, or holds NaN or infinity.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected samples [{self.channels}, n], got {block.shape}")
        if not np.isfinite(block).all():
            raise ValueError("samples to write hold NaN or infinity")
        if self._encoder is None:
            raise ValueError(f"{self.path} is closed")
        self.samples_written += block.shape[1]
        self._encode(self._resampler.push(block))

    def close(self) -> None:
        """Complete the file and give it its name; without a `with` statement, call this.

        Raises:
            AudioError: The file cannot be completed; nothing is left behind.
        """
        if self._encoder is None:
            return
        try:
            self._encode(self._resampler.finish())
            if self._encoded == 0 and self.format.name in ("mp3", "opus", "m4a"):
                raise AudioError(
                    f"{self.path} would have no samples, which {self.format.name} cannot hold: "
                    "use wav or flac"
                )
            try:
                self._encoder.close()
            except _FAILURES as error:
                raise self._error(error) from error
            self._encoder = None
            if self._finalize is not None:
                self._finalize(self._temporary)
            self._refuse_existing()
            try:
                os.replace(self._temporary, self.path)  # noqa: PTH105  (atomic, and says so)
            except OSError as error:
                raise self._error(error) from error
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Give up: close and remove the temporary file."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            with suppress(*_FAILURES):
                encoder.abandon()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _encode(self, block: NDArray[np.float32]) -> None:
        if self._encoder is None or block.shape[1] == 0:
            return
        if not self.format.is_float:
            self.clipped += int(np.count_nonzero(np.abs(block) > 1))
        self._encoded += block.shape[1]
        try:
            self._encoder.write(block)
        except _FAILURES as error:
            raise self._error(error) from error

    def _open(self) -> Encoder:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return open_encoder(
                self._temporary,
                sample_rate=self.written_sample_rate,
                channels=self.channels,
                output_format=self.format,
            )
        except _FAILURES as error:
            self._encoder = None
            self.abandon()
            if isinstance(error, OSError):
                raise self._error(error) from error
            raise AudioError(f"{self.path} cannot be made: {error}") from error

    def _temporary_name(self) -> Path:
        """Return a hidden name in the same folder, so that renaming is atomic.

        Short, as the file's own name may be as long as names get.
        """
        name = f".unmix-{os.getpid()}-{secrets.token_hex(4)}{self.format.extension}"
        return self.path.with_name(name)

    def _refuse_existing(self) -> None:
        if self.path.is_dir():
            raise AudioError(f"{self.path} is a folder: choose another name")
        if not self._overwrite and self.path.exists():
            raise AudioError(f"{self.path} exists already: allow overwriting or choose another")

    def _error(self, error: BaseException) -> AudioError:
        """Turn what a library says into one sentence with a remedy."""
        folder = self.path.parent
        number = error.errno if isinstance(error, OSError) else None
        if number in (errno.EACCES, errno.EPERM, errno.EROFS) or not os.access(folder, os.W_OK):
            return AudioError(f"{self.path} cannot be written: {folder} may not be written to")
        if number in (errno.ENOTDIR, errno.EEXIST):
            return AudioError(f"{self.path} cannot be written: {folder} is not a folder")
        if number in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return AudioError(f"{self.path} cannot be written: is there room on the disk?")
        reason = error.strerror if isinstance(error, OSError) else None
        return AudioError(f"{self.path} cannot be written: {reason or error}")
