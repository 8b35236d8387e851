"""A song's stems as they stream past, combined, levelled and written: all outputs or none.

What ``files.py`` (a file per stem) and ``backing.py`` (one backing track) have in common::

    song ──blocks──> separator ──stems──> combine ──outputs──> spools ──gain──> writers ──> staged
                                                      └─── (32-bit float) ───────┘            │
    FOLDER/NAME <──────────── renamed, when every output is whole and tagged ─────────────────┘
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .._types import Progress, Samples
from ..audio import AudioReader, AudioWriter, OutputFormat, resampled_length
from ..errors import AudioError
from ..storage import publish, staging, writing

Stems = Mapping[str, Samples]

_BLOCK = 65536  # samples: what is read from a spool, levelled and encoded at once
_SPOOLED_SHARE = 0.9  # of the progress bar: encoding is quick beside separation


class StemSeparator(Protocol):
    """What a rendering needs of a separator; ``unmix.Separator`` is the one."""

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems that ``stream`` gives."""
        ...

    @property
    def model_name(self) -> str:
        """Name of the model."""
        ...

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        """Yield pieces ``[C, m]`` of every stem, that join to as many samples as came in."""
        ...


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What all outputs of a song have in common once they are written."""

    sample_rate: int
    """Hz, of the files."""
    channels: int
    samples: int
    """Per channel, at ``sample_rate``."""
    gain: float
    """What all outputs were multiplied by, in (0, 1]."""
    warnings: tuple[str, ...]


def render(
    separator: StemSeparator,
    reader: AudioReader,
    outputs: Mapping[str, Path],
    combine: Callable[[Stems], Stems],
    *,
    format: OutputFormat,  # noqa: A002  (the writer's word for it)
    finish: Callable[[str, Path], Iterable[str]],
    overwrite: bool,
    strict: bool,
    progress: Progress | None,
) -> Rendering:
    """Separate an open song and write what ``combine`` makes of its stems.

    Where the format cannot hold samples above full scale, the peak over everything that ``combine``
    gives decides one gain for all of it, so that the outputs keep their balance and their sum. The
    peak is known at the end of the song only: until then the outputs wait on disk, beside their
    place, as raw floats; memory does not grow with the song.

    Args:
        separator: what separates.
        reader: the song, at its beginning.
        outputs: a path for each output to write, at least one. ``combine`` may give more: those are
            not written, but count for the gain.
        combine: from pieces ``[C, m]`` of the stems to pieces of the outputs, one by one.
        format: of all outputs.
        finish: called with the name and the temporary path of every output when it is whole, to add
            tags or change it in place; returns sentences for the warnings, and raises AudioError
            where the file cannot be written.
        overwrite: whether existing files may be replaced.
        strict: whether a song that does not decode whole is an error.
        progress: called with the fraction done, in [0, 1], which never falls. What it raises
            passes through and cancels the work, and nothing is left behind.

    Raises:
        AudioError: the song does not decode (with ``strict``: not wholly), or cannot be written.
        UnmixError: an output exists, and may not be replaced.
    """
    format.check(reader.channels, reader.sample_rate)
    report = _Meter(progress)
    with staging(outputs) as staged:
        with _final_names(staged, outputs):
            with ExitStack() as stack:
                sink = _open_sink(staged, reader, format, stack)
                _pour(separator, reader, combine, sink, report)
                _check_complete(reader, strict)
                gain = sink.finish(report)
            said = [sentence for name, path in staged.items() for sentence in finish(name, path)]
        report(1.0)
        publish([(staged[name], path) for name, path in outputs.items()], overwrite=overwrite)
    rate = format.sample_rate_for(reader.sample_rate)
    return Rendering(
        sample_rate=rate,
        channels=reader.channels,
        samples=resampled_length(reader.samples_read, reader.sample_rate, rate),
        gain=gain,
        # Two stems of one song lack the same tags: that is said once.
        warnings=tuple(
            dict.fromkeys([*reader.warnings, *_warnings(reader, format.name, rate, gain), *said])
        ),
    )


def _open_sink(
    staged: Mapping[str, Path],
    reader: AudioReader,
    output_format: OutputFormat,
    stack: ExitStack,
) -> _Direct | _Spooled:
    """Open a writer for every output, and what it needs beside; the stack closes them."""
    rate, channels = reader.sample_rate, reader.channels
    writers = {
        name: stack.enter_context(
            AudioWriter(path, sample_rate=rate, channels=channels, format=output_format)
        )
        for name, path in staged.items()
    }
    if output_format.is_float:
        return _Direct(writers)
    spools: dict[str, _Spool] = {}
    for name, path in staged.items():
        spools[name] = _Spool(path, channels)
        stack.callback(spools[name].close)
    return _Spooled(writers, spools, output_format.bit_depth)


class _Meter:
    """Passes a fraction on that never falls, nor rises above 1."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._fraction = 0.0

    def __call__(self, fraction: float) -> None:
        self._fraction = max(self._fraction, min(fraction, 1.0))
        if self._progress is not None:
            self._progress(self._fraction)


class _Direct:
    """Outputs that take any level, and are written as they come."""

    share = 1.0

    def __init__(self, writers: Mapping[str, AudioWriter]) -> None:
        self._writers = writers

    def write(self, pieces: Stems) -> None:
        for name, writer in self._writers.items():
            writer.write(pieces[name])

    def finish(self, report: _Meter) -> float:
        del report  # nothing is left to do
        return 1.0


class _Spooled:
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

    def write(self, pieces: Stems) -> None:
        """Keep pieces ``[C, m]``, and measure all of them, written or not."""
        for piece in pieces.values():
            self._highest = piece.max(initial=self._highest)
            self._lowest = piece.min(initial=self._lowest)
        for name, spool in self._spools.items():
            spool.append(pieces[name])

    def finish(self, report: _Meter) -> float:
        """Encode at one gain; return it."""
        gain = self._gain()
        samples = max([spool.rewind() for spool in self._spools.values()])
        # Encoders leave Python alone while they work: the outputs share the processors.
        with ThreadPoolExecutor(len(self._spools)) as pool:
            for start in range(0, samples, _BLOCK):
                list(pool.map(lambda name: self._encode(name, gain), self._spools))
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


class _Spool:
    """Samples that wait in a file of raw floats beside a staged one, and go when that goes."""

    def __init__(self, path: Path, channels: int) -> None:
        self._path = path
        self._channels = channels
        self._frame = np.dtype(np.float32).itemsize * channels  # bytes
        with writing(path):
            self._file = path.with_name(f"{path.name}.raw").open("w+b")

    def append(self, piece: Samples) -> None:
        """Add samples ``[C, m]``."""
        with writing(self._path):
            self._file.write(np.ascontiguousarray(piece.T, dtype=np.float32).tobytes())

    def rewind(self) -> int:
        """Go back to the beginning; return the count of samples per channel."""
        with writing(self._path):  # what was held in memory may find no room now
            size = self._file.tell()
            self._file.seek(0)
        return size // self._frame

    def read(self, count: int) -> Samples:
        """Return the next samples ``[C, m]``, at most ``count`` of them."""
        with writing(self._path):
            data = self._file.read(count * self._frame)
        return np.frombuffer(data, np.float32).reshape(-1, self._channels).T

    def close(self) -> None:
        """Close the file, whose content is not needed any more."""
        with suppress(OSError):
            self._file.close()


def _pour(
    separator: StemSeparator,
    reader: AudioReader,
    combine: Callable[[Stems], Stems],
    sink: _Direct | _Spooled,
    report: _Meter,
) -> None:
    """Send the whole song through the separator into the sink."""
    total = reader.info.length
    done = 0
    report(0.0)
    for stems in separator.stream(reader.blocks(), reader.sample_rate):
        sink.write(combine(stems))
        done += next(iter(stems.values())).shape[-1]
        report(sink.share * done / max(total, done) if total else 0.0)
    if done != reader.samples_read:
        raise RuntimeError(f"{reader.path}: {reader.samples_read} samples in, {done} out")


@contextmanager
def _final_names(staged: Mapping[str, Path], outputs: Mapping[str, Path]) -> Iterator[None]:
    """Let errors speak of the files that were asked for, not of hidden ones."""
    try:
        yield
    except AudioError as error:
        sentence = str(error)
        for name, path in staged.items():
            sentence = sentence.replace(str(path), str(outputs[name]))
            sentence = sentence.replace(str(path.parent), str(outputs[name].parent))
        raise AudioError(sentence) from error


def _check_complete(reader: AudioReader, strict: bool) -> None:
    if strict and not reader.complete:
        raise AudioError("; ".join(reader.warnings) + " (strict: nothing was written)")


def _warnings(reader: AudioReader, format_name: str, rate: int, gain: float) -> Iterator[str]:
    """Say what was done to the song that the user may not expect."""
    name = reader.path.name
    if rate != reader.sample_rate:
        yield f"{name} has {reader.sample_rate} Hz, which {format_name} cannot hold: now {rate} Hz"
    if gain < 1:
        decibels = -20 * math.log10(gain)
        amount = f"{decibels:.2f}" if decibels >= 0.01 else "less than 0.01"
        yield (
            f"{name} would clip: all outputs were lowered by {amount} dB; "
            "32-bit wav keeps the level"
        )
