"""Signals of one track on disk: written as they come, read in blocks, of any length.

Scoring passes over references and estimates several times. A song of an hour with two stems is two
and a half gigabytes as 32-bit floats: on disk that is little, in memory it is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from .._types import Samples

_BLOCK = 1 << 18
_BYTES = 4


class Signals:
    """Named signals of one length, as raw 32-bit floats in a folder.

    Args:
        folder: a folder of its own, which exists.
        audio_channels: C, of each.
        sample_rate: Hz.
    """

    def __init__(self, folder: Path, audio_channels: int, sample_rate: int) -> None:
        self.folder = folder
        self.audio_channels = audio_channels
        self.sample_rate = sample_rate
        self.length = 0
        """Samples per channel: of the longest that was written."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.length / self.sample_rate

    def write(self, name: str, blocks: Iterable[Samples]) -> None:
        """Write a signal, in blocks ``[C, n]``."""
        self.write_all((name,), ({name: block} for block in blocks))

    def write_all(self, names: Sequence[str], pieces: Iterable[Mapping[str, Samples]]) -> None:
        """Write several signals at once, whose pieces ``[C, n]`` come together by name."""
        files = {name: self._path(name).open("wb") for name in names}
        try:
            for piece in pieces:
                for name, file in files.items():
                    file.write(np.ascontiguousarray(piece[name].T, np.float32).tobytes())
        finally:
            for file in files.values():
                file.close()
        self.length = max([self.length, *map(self._length, names)])

    def read(self, name: str, start: int = 0, count: int | None = None) -> Samples:
        """Return samples ``[C, count]`` of a signal, zeros after its end; all where not given."""
        count = self.length - start if count is None else count
        frame = _BYTES * self.audio_channels
        wanted = max(0, min(count, self._length(name) - start))
        found = np.fromfile(
            self._path(name), np.float32, wanted * self.audio_channels, offset=start * frame
        )
        samples = found.reshape(-1, self.audio_channels).T
        return np.pad(samples, ((0, 0), (0, count - samples.shape[1])))

    def blocks(self, names: Sequence[str], size: int = _BLOCK) -> Iterator[dict[str, Samples]]:
        """Yield the signals in blocks ``[C, n]`` of at most ``size`` samples."""
        for start in range(0, self.length, size):
            count = min(size, self.length - start)
            yield {name: self.read(name, start, count) for name in names}

    def remove(self) -> None:
        """Remove all signals from the disk."""
        for path in self.folder.glob("*.f32"):
            path.unlink()

    def _length(self, name: str) -> int:
        return self._path(name).stat().st_size // (_BYTES * self.audio_channels)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.f32"
