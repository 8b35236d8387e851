"""A song's stems, combined, levelled and written as they stream past: all outputs or none.

What ``separate`` (a file per stem) and ``karaoke`` (one file) have in common::

    song ──blocks──> separator ──stems──> combine ──outputs──> spools ──gain──> writers ──> staged
                                                      └─── (32-bit float) ───────┘            │
    FOLDER/NAME <──────────── renamed, when every output is whole and tagged ─────────────────┘
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .._types import Progress, Samples
from ..audio import AudioReader, OutputFormat, resampled_length
from ..errors import AudioError
from ..storage import put_in_place, staging
from .levelling import Direct, Spooled, open_sink

Stems = Mapping[str, Samples]


class StemSeparator(Protocol):
    """What rendering needs of a separator, such as ``unmix.Separator``."""

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems that ``stream`` gives."""
        ...

    @property
    def model_name(self) -> str:
        """Name of the model."""
        ...

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        """Yield pieces ``[C, m]`` of every stem, which join to as many samples as came in."""
        ...


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What all outputs of a song have in common once they are written."""

    sample_rate: int
    """Sample rate of the files in Hz; 0 if skipped."""
    channels: int
    """Audio channels; 0 if skipped."""
    samples: int
    """Samples per channel, at ``sample_rate``."""
    gain: float
    """Factor applied to all outputs, in (0, 1]."""
    warnings: tuple[str, ...]
    """Sentences on what was repaired, is missing, or differs from the song."""

    @property
    def seconds(self) -> float:
        """Length of every output."""
        return self.samples / self.sample_rate if self.sample_rate else 0.0


#: All outputs existed and were kept: the song was not decoded.
SKIPPED = Rendering(sample_rate=0, channels=0, samples=0, gain=1.0, warnings=())


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
    returns decides one gain for all of it, so that the outputs keep their balance and their sum.
    The peak is known only at the end of the song: until then the outputs wait on disk, beside their
    place, as raw floats; memory does not grow with the song.

    Args:
        separator: what separates.
        reader: the song, at its beginning.
        outputs: a path for each output to write, at least one. ``combine`` may return more: those
            are not written, but count for the gain.
        combine: from pieces ``[C, m]`` of the stems to pieces of the outputs.
        format: of all outputs.
        finish: called with the name and the staged path of every output when it is whole, to add
            tags or change it in place; returns warnings, and raises ``AudioError`` if the file
            cannot be written.
        overwrite: whether to replace existing files.
        strict: whether a song that does not decode completely is an error.
        progress: called with the fraction done, in [0, 1], which never falls. An exception that it
            raises passes through and cancels the work, and nothing is left behind.

    Raises:
        AudioError: the song cannot be decoded (with ``strict``: not completely), or an output
            cannot be written.
        UnmixError: an output exists and may not be replaced.
    """
    format.check(reader.channels, reader.sample_rate)
    report = _Meter(progress)
    with staging(outputs) as staged:
        with _final_names(staged, outputs):
            with ExitStack() as stack:
                sink = open_sink(
                    staged,
                    sample_rate=reader.sample_rate,
                    channels=reader.channels,
                    format=format,
                    stack=stack,
                )
                _pour(separator, reader, combine, sink, report)
                if strict and not reader.complete:
                    raise AudioError("; ".join(reader.warnings) + " (strict: nothing was written)")
                gain = sink.finish(report)
            said = [sentence for name, path in staged.items() for sentence in finish(name, path)]
        report(1.0)
        put_in_place([(staged[name], path) for name, path in outputs.items()], overwrite=overwrite)
    rate = format.sample_rate_for(reader.sample_rate)
    return Rendering(
        sample_rate=rate,
        channels=reader.channels,
        samples=resampled_length(reader.samples_read, reader.sample_rate, rate),
        gain=gain,
        # Two stems of one song lack the same tags: say it once.
        warnings=tuple(
            dict.fromkeys([*reader.warnings, *_warnings(reader, format.name, rate, gain), *said])
        ),
    )


class _Meter:
    """Passes on a fraction that never falls, nor rises above 1."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._fraction = 0.0

    def __call__(self, fraction: float) -> None:
        self._fraction = max(self._fraction, min(fraction, 1.0))
        if self._progress is not None:
            self._progress(self._fraction)


def _pour(
    separator: StemSeparator,
    reader: AudioReader,
    combine: Callable[[Stems], Stems],
    sink: Direct | Spooled,
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
    """Let errors name the files that the user asked for, not the hidden ones."""
    try:
        yield
    except AudioError as error:
        sentence = str(error)
        for name, path in staged.items():
            sentence = sentence.replace(str(path), str(outputs[name]))
            sentence = sentence.replace(str(path.parent), str(outputs[name].parent))
        raise AudioError(sentence) from error


def _warnings(reader: AudioReader, format_name: str, rate: int, gain: float) -> Iterator[str]:
    """Yield sentences on changes to the song that the user may not expect."""
    name = reader.path.name
    if rate != reader.sample_rate:
        yield (
            f"{name}: {format_name} does not support {reader.sample_rate} Hz; "
            f"the output has {rate} Hz"
        )
    if gain < 1:
        decibels = -20 * math.log10(gain)
        amount = f"{decibels:.2f}" if decibels >= 0.01 else "less than 0.01"
        yield (
            f"{name} would clip: all outputs were lowered by {amount} dB; "
            "32-bit wav keeps the level"
        )
