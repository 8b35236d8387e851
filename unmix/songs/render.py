"""A song's stems, combined, levelled and written as they stream past: all outputs or none.

What ``separate`` (a file per stem) and ``karaoke`` (one file) have in common::

    song ──blocks──> separator ──stems──> combine ──outputs──> spools ──gain──> writers ──> staged
                                                      └─── (32-bit float) ───────┘            │
    FOLDER/NAME <──────────── renamed, when every output is whole and tagged ─────────────────┘
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .._types import Progress, Samples
from ..audio import AudioReader, OutputFormat, check_written, open_audio, probe, resampled_length
from ..errors import AudioError, AudioWarning
from ..storage import Existing, outputs_to_write, put_in_place, reach_disk, staging, writing
from .levelling import open_sink

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
class Result:
    """What the results of all work on a song have in common."""

    source: Path
    """The song, as it was given."""
    seconds: float = 0.0
    """Length of the song. 0 if skipped."""
    warnings: tuple[str, ...] = ()
    """Sentences on what was repaired, is missing, or differs from the song."""
    shortfalls: tuple[str, ...] = ()
    """Those of the warnings that say which part of the song did not decode; none if it is whole."""
    skipped: bool = False
    """Whether all files existed and were kept: the song was not decoded, unless another process
    wrote them meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Rendering(Result):
    """What the results of rendering a song have in common."""

    sample_rate: int = 0
    """Hz: the song's own, unless the format does not support it. 0 if skipped."""
    channels: int = 0
    """Audio channels of the song and of every output. 0 if skipped."""
    samples: int = 0
    """Samples per channel of every output, at ``sample_rate``. 0 if skipped."""
    gain: float = 1.0
    """Factor applied to all outputs so that none clips, in (0, 1]; 1 if none would."""


@np.errstate(all="ignore")
def render(
    separator: StemSeparator,
    source: Path,
    paths: Mapping[str, Path],
    combine: Callable[[Stems], Stems],
    *,
    format: OutputFormat,  # noqa: A002  (the writer's word for it)
    finish: Callable[[str, Path], Iterable[str]],
    existing: Existing,
    strict: bool,
    audio_stream: int | None,
    progress: Progress | None,
    root: Path | None = None,
    max_duration: float | None = None,
) -> Rendering:
    """Separate a song and write what ``combine`` makes of its stems.

    Where the format cannot hold samples above full scale, the peak over everything that ``combine``
    returns decides one gain for all of it, so that the outputs keep their balance and their sum.
    The peak is known only at the end of the song: until then the outputs wait on disk, beside their
    place, as raw floats; memory does not grow with the song.

    Args:
        separator: what separates.
        source: the song.
        paths: a path for each output. ``combine`` may return more: those are not written, but count
            for the gain, as do outputs that exist and are kept.
        combine: from pieces ``[C, m]`` of the stems to pieces of the outputs.
        format: of all outputs.
        finish: called with the name and the staged path of every output when it is whole, to add
            tags or change it in place; returns warnings, and raises ``AudioError`` if the file
            cannot be written.
        existing: what to do about files that exist: "error", "overwrite" or "skip".
        strict: whether a song that does not decode completely is an error.
        audio_stream: index of the song's audio stream, from 0; None: the best one.
        progress: called with the fraction done, in [0, 1], which never falls. An exception that it
            raises passes through and cancels the work, and nothing is left behind.
        root: a folder with all paths in it that no link may lead out of.
        max_duration: seconds; a longer song is an error.

    Raises:
        AudioError: the song cannot be decoded (with ``strict``: not completely), or an output
            cannot be written.
        UnmixError: an output exists and may not be replaced.
    """
    with open_audio(source, stream=audio_stream, max_duration=max_duration) as reader:
        outputs = outputs_to_write(source, paths, existing, root=root)
        if not outputs:
            return Rendering(source=source, skipped=True)
        format.check(reader.channels, reader.sample_rate)
        report = _Meter(progress)
        with staging(outputs) as staged:
            with _final_names(staged, outputs):
                gain = _pour(separator, reader, combine, staged, format, strict, report)
                said = [warning for name, path in staged.items() for warning in finish(name, path)]
                rate = format.sample_rate_for(reader.sample_rate)
                samples = resampled_length(reader.samples_read, reader.sample_rate, rate)
                for path in staged.values():  # tags and pictures were written after the samples
                    with writing(path):
                        reach_disk(path)
                    check_written(path, length=samples, sample_rate=rate, exact=False)
                said += _lost_chapters(reader, staged.values())
            report(1.0)
            renamed = [(staged[name], path) for name, path in outputs.items()]
            kept = put_in_place(renamed, existing=existing)
        warned = [*reader.warnings, *_warnings(reader, format.name, rate, gain), *said]
        if kept:
            warned += [f"{path}: appeared meanwhile, and was kept" for path in kept]
        return Rendering(
            source=source,
            skipped=len(kept) == len(outputs),
            sample_rate=rate,
            channels=reader.channels,
            samples=samples,
            seconds=samples / rate,
            gain=gain,
            shortfalls=tuple(reader.shortfalls),
            # Two stems of one song lack the same tags: say it once.
            warnings=tuple(dict.fromkeys(warned)),
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
    staged: Mapping[str, Path],
    format: OutputFormat,  # noqa: A002  (the writer's word for it)
    strict: bool,
    report: _Meter,
) -> float:
    """Send the whole song through the separator into the files; return their gain."""
    total = reader.info.length
    done = 0
    rate, channels = reader.sample_rate, reader.channels
    with ExitStack() as stack:
        sink = open_sink(staged, sample_rate=rate, channels=channels, format=format, stack=stack)
        report(0.0)
        for stems in separator.stream(reader.blocks(), rate):
            sink.write(combine(stems))
            done += next(iter(stems.values())).shape[-1]
            report(sink.share * done / max(total, done) if total else 0.0)
        if done != reader.samples_read:
            raise RuntimeError(f"{reader.path}: {reader.samples_read} samples in, {done} out")
        if strict:
            reader.check_complete()
        return sink.finish(report)


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


def warn_of_shortfalls(result: Result, stacklevel: int) -> None:
    """Issue an ``AudioWarning`` for each part of a song that did not decode."""
    for sentence in result.shortfalls:
        warnings.warn(sentence, AudioWarning, stacklevel=stacklevel + 1)


def _lost_chapters(reader: AudioReader, outputs: Iterable[Path]) -> list[str]:
    count = reader.info.chapters
    if not count or all(probe(path).chapters for path in outputs):
        return []
    chapters = "chapter is" if count == 1 else "chapters are"
    return [f"{reader.path.name}: its {count} {chapters} left out"]


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
