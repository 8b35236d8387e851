"""Apply one gain to all outputs of a song, so that none clips and they keep their balance."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from zlib import crc32

import numpy as np

from .._types import Progress, Samples
from ..audio import AudioWriter, OutputFormat
from ..errors import AudioError
from ..storage import writing

_BLOCK = 65536  # samples: what is read from a spool, levelled and encoded at once
_SPOOLED_SHARE = 0.9  # of the progress: encoding is quick beside separation


def open_sink(
    staged: Mapping[str, Path],
    *,
    sample_rate: int,
    channels: int,
    format: OutputFormat,  # noqa: A002  (the writer's word for it)
    stack: ExitStack,
) -> Direct | Spooled:
    """Open a writer for every staged output, and a spool where needed; the stack closes them."""
    writers = {
        name: stack.enter_context(
            AudioWriter(
                path, sample_rate=sample_rate, channels=channels, format=format, staged=True
            )
        )
        for name, path in staged.items()
    }
    if format.is_float:
        return Direct(writers)
    spools: dict[str, _Spool] = {}
    for name, path in staged.items():
        spools[name] = _Spool(path, channels)
        stack.callback(spools[name].close)
    return Spooled(writers, spools, format.bit_depth)


class Direct:
    """Outputs that hold any level, and are written as they come."""

    share = 1.0

    def __init__(self, writers: Mapping[str, AudioWriter]) -> None:
        self._writers = writers

    def write(self, pieces: Mapping[str, Samples]) -> None:
        """Write pieces ``[C, m]``."""
        for name, writer in self._writers.items():
            writer.write(pieces[name])

    def finish(self, report: Progress) -> float:
        """Return the gain, which is 1."""
        del report  # nothing is left to do
        return 1.0


class Spooled:
    """Outputs that wait until the highest of their peaks is known."""

    share = _SPOOLED_SHARE

    def __init__(
        self,
        writers: Mapping[str, AudioWriter],
        spools: Mapping[str, _Spool],
        bit_depth: int | None,
    ) -> None:
        self._writers = writers
        self._spools = spools
        # Integers reach from -1 to one step below 1; what rounds to more would be clipped.
        self._step = 0.0 if bit_depth is None else 2.0 ** (1 - bit_depth)
        self._highest = self._lowest = np.float32(0)

    def write(self, pieces: Mapping[str, Samples]) -> None:
        """Keep pieces ``[C, m]``, and measure all of them, written or not."""
        for piece in pieces.values():
            self._highest = piece.max(initial=self._highest)
            self._lowest = piece.min(initial=self._lowest)
        for name, spool in self._spools.items():
            spool.append(pieces[name])

    def finish(self, report: Progress) -> float:
        """Encode all outputs at one gain; return it."""
        gain = self._gain()
        samples = max([spool.rewind() for spool in self._spools.values()])
        # Encoders release the interpreter while they work: the outputs share the processors.
        with ThreadPoolExecutor(len(self._spools)) as pool:
            each = pool.map if _starts_threads(pool) else map
            for start in range(0, samples, _BLOCK):
                list(each(lambda name: self._encode(name, gain), self._spools))
                report(self.share + (1 - self.share) * (start + _BLOCK) / samples)
        return float(gain)

    def _gain(self) -> np.float32:
        """Return the highest gain, at most 1, at which nothing is clipped."""
        top = 1 - self._step
        gain = 1.0
        if self._highest > top + self._step / 2:
            gain = top / float(self._highest)
        if -self._lowest > 1 + self._step / 2:
            gain = min(gain, 1 / -float(self._lowest))
        # Rounded down, as the product of peak and gain is rounded too, and may be rounded up.
        return np.nextafter(np.float32(gain), np.float32(0)) if gain < 1 else np.float32(1)

    def _encode(self, name: str, gain: np.float32) -> None:
        """Encode the next piece of an output."""
        self._writers[name].write(self._spools[name].read(_BLOCK) * gain)


def _starts_threads(pool: ThreadPoolExecutor) -> bool:
    """Return False while the interpreter is ending: a thread of the host may still separate."""
    try:
        pool.submit(int)
    except RuntimeError:
        return False
    return True


class _Spool:
    """Samples that wait as raw floats in a file beside a staged one."""

    def __init__(self, path: Path, channels: int) -> None:
        self._path = path
        self._channels = channels
        self._frame = np.dtype(np.float32).itemsize * channels  # bytes
        self._left = 0  # bytes that were written, and not read yet
        self._written, self._read = 0, 0  # checksums: other processes can reach the file
        with writing(path):
            self._file = path.with_name(f"{path.name}.raw").open("w+b")

    def append(self, piece: Samples) -> None:
        """Add samples ``[C, m]``."""
        data = np.ascontiguousarray(piece.T, dtype=np.float32).tobytes()
        with writing(self._path):
            self._file.write(data)
        self._left += len(data)
        self._written = crc32(data, self._written)

    def rewind(self) -> int:
        """Go back to the beginning; return the count of samples per channel."""
        with writing(self._path):  # what was held in memory may find no room now
            self._file.seek(0)
        return self._left // self._frame

    def read(self, count: int) -> Samples:
        """Return the next samples ``[C, m]``, at most ``count`` of them.

        Raises:
            AudioError: they are not what was written.
        """
        size = min(count * self._frame, self._left)
        with writing(self._path):
            data = self._file.read(size)
        self._left -= len(data)
        self._read = crc32(data, self._read)
        if len(data) < size or (self._left == 0 and self._read != self._written):
            raise AudioError(
                f"{self._path} cannot be written: another program has changed its temporary file, "
                "or the disk is failing; separate the song again"
            )
        return np.frombuffer(data, np.float32).reshape(-1, self._channels).T

    def close(self) -> None:
        """Close the file; the staging folder goes with it."""
        with suppress(OSError):
            self._file.close()
