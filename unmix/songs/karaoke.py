"""A song file to its karaoke version: beside the song, in its format, with its tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np

from .._types import Progress, Samples
from ..audio import AudioReader, OutputFormat, format_like, open_audio
from ..audio.formats import check_options
from ..audio.sources import Source, source_path
from ..audio.tags import copy_tags, name_as_title, read_tags
from ..audio.video import SOUND_FORMATS, has_picture, replace_sound
from ..errors import UnmixError
from ..stems import ACCOMPANIMENT, VOCALS
from ..storage import Existing, check_existing, writing
from ..weights import DEFAULT
from .naming import KARAOKE, beside
from .render import Rendering, Stems, StemSeparator, render, warn_of_shortfalls

# Videos with the tags of m4a; others have what FFmpeg copies.
_TAGGED_VIDEOS = (".mp4", ".m4v")
# Endings of names that stand for a format we write under another ending.
_ALIASES = {"aif": "aiff", "aifc": "aiff", "oga": "ogg", "wave": "wav", "m4b": "m4a"}


@dataclass(frozen=True, kw_only=True)
class KaraokeFile(Rendering):
    """The result of ``karaoke``."""

    path: Path
    """The karaoke version."""
    guide: float | None
    """Level of the vocals that were kept, in dB, at most 0; None if they were removed."""
    video: bool
    """Whether the karaoke version is a video, with the song's own picture."""


def karaoke(
    path: Source,
    out_dir: str | PathLike[str] | None = None,
    *,
    model: str | Path = DEFAULT,
    quality: str = "balanced",
    device: str = "auto",
    guide: float | None = None,
    format: str | None = None,  # noqa: A002  (the word users know, and a keyword only)
    existing: Existing = "error",
    audio_stream: int | None = None,
    max_duration: float | None = None,
    progress: Progress | None = None,
) -> KaraokeFile:
    """Write a song's karaoke version, ``NAME (karaoke).EXT``.

    It has the song's length, channels, sample rate, tags and cover, its title marked "(karaoke)". A
    video in mp4, mov, mkv or webm stays a video with the same picture, unless ``format`` is given.
    Parts that do not decode are an ``AudioWarning``, and in the result's ``shortfalls``.

    Args:
        path: the song, which may be a video; or ``-`` for standard input, a pipe, bytes or an open
            binary file, which are copied to a temporary folder first.
        out_dir: the folder to write to; default: the song's own, or the current one.
        model: name of a model, or path of a file of weights.
        quality: ``fast``, ``balanced`` or ``best``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        guide: level of the vocals that are kept as a guide, in dB, at most 0; default: none are.
        format: wav, flac, aiff, mp3, ogg, opus or m4a; default: the song's own, or the nearest
            that can be written.
        existing: "error" refuses to replace a file, "overwrite" replaces it, "skip" keeps it.
        audio_stream: index of the song's audio stream, from 0; default: the best one.
        max_duration: seconds; a longer song is an error.
        progress: called with the fraction done, in [0, 1]; an exception that it raises cancels.

    Raises:
        UnmixError: the song cannot be read or separated, or the file cannot be written.
    """
    options = KaraokeOptions(
        guide=guide,
        format=format,
        existing=existing,
        audio_stream=audio_stream,
        max_duration=max_duration,
    )
    with source_path(path) as song:
        if out_dir is None and not (isinstance(path, str | PathLike) and song == Path(path)):
            out_dir = Path()  # it is a copy in a temporary folder
        plan = plan_karaoke(song, out_dir, options)
        from .separator import Separator  # brings torch, which nothing else here needs

        separator = Separator(model, device=device, quality=quality)
        done = write_karaoke(separator, plan, progress=progress)
    warn_of_shortfalls(done, stacklevel=2)
    return done


@dataclass(frozen=True, kw_only=True)
class KaraokeOptions:
    """What karaoke version to write, and how; checked when it is made.

    Raises:
        UnmixError: the guide is above 0 dB, or ``existing`` is invalid.
        ConfigError: the format is unknown, or its options do not fit together; without a format,
            if they fit none.
    """

    guide: float | None = None
    """Level of the vocals that are kept, in dB, at most 0; None: they are removed."""
    format: str | None = None
    """Format of the file; None: the song's own, or the nearest that can be written."""
    bit_depth: int | None = None
    """Bits per sample of lossless formats; None: the song's own, or 16 with ``format``."""
    bitrate: int | str | None = None
    """Bit rate of lossy formats; None: about the song's own, or the usual one with ``format``."""
    existing: Existing = "error"
    """What to do about a file that exists: "error", "overwrite" or "skip"."""
    max_duration: float | None = None
    """Seconds; a longer song is an error."""
    strict: bool = False
    """Whether a song that does not decode completely is an error; else it is a warning."""
    audio_stream: int | None = None
    """Index of the song's audio stream, from 0; None: the best one."""

    def __post_init__(self) -> None:
        if self.guide is not None and not self.guide <= 0:
            raise UnmixError(
                f"a guide of {self.guide:g} dB would be louder than the song: use 0 or less"
            )
        check_existing(self.existing)
        if self.format is not None:
            self.output(self.format)
        else:
            check_options(self.bit_depth, self.bitrate)

    def output(self, name: str) -> OutputFormat:
        """Return a format with the requested bit depth or bit rate."""
        return OutputFormat.parse(name, self.bit_depth, self.bitrate)


@dataclass(frozen=True, kw_only=True)
class KaraokePlan:
    """Where the karaoke version of one song goes, and what kind of file it is."""

    source: Path
    """The song."""
    path: Path
    """The karaoke version."""
    format: OutputFormat
    """Format of the sound."""
    video: bool
    """Whether the file is a video with the song's picture."""
    warnings: tuple[str, ...]
    """Sentences on how the file differs from the song."""
    stream: int
    """Index of the song's audio stream that is replaced, from 0."""
    options: KaraokeOptions
    """What to write, and how."""
    root: Path | None = None
    """The folder that no link below it may lead out of."""


def plan_karaoke(
    path: str | PathLike[str],
    out_dir: str | PathLike[str] | None,
    options: KaraokeOptions,
    *,
    root: Path | None = None,
) -> KaraokePlan:
    """Decide where a song's karaoke version goes, and its format; nothing is written.

    Args:
        path: the song; it is opened, as its kind decides the format.
        out_dir: the folder to write to; None: the song's own.
        options: what to write.
        root: a folder with ``out_dir`` in it that no link may lead out of.

    Raises:
        AudioError: the song cannot be read.
        ConfigError: the bit depth or bit rate does not fit the song's format.
    """
    source = Path(path)
    with open_audio(source, stream=options.audio_stream) as reader:
        sound, video, warnings = _kind(reader, options)
        stream = reader.info.stream
    return KaraokePlan(
        source=source,
        path=beside(
            source,
            KARAOKE,
            source.suffix if video else sound.extension,
            None if out_dir is None else Path(out_dir),
        ),
        format=sound,
        video=video,
        warnings=warnings,
        stream=stream,
        options=options,
        root=root,
    )


def write_karaoke(
    separator: StemSeparator, plan: KaraokePlan, *, progress: Progress | None = None
) -> KaraokeFile:
    """Write a song's karaoke version, in memory that does not grow with the song's length.

    Args:
        separator: what separates, into vocals and accompaniment.
        plan: where it goes.
        progress: called with the fraction done, in [0, 1]. An exception that it raises passes
            through and cancels: no file and no folder is left behind.

    Raises:
        AudioError: the song cannot be read, or the karaoke version cannot be written.
        UnmixError: the model does not separate vocals, or a file is in the way.
    """
    if VOCALS not in separator.stems or ACCOMPANIMENT not in separator.stems:
        raise UnmixError(
            f"karaoke needs {VOCALS} and {ACCOMPANIMENT}; the model {separator.model_name} "
            f"separates {', '.join(separator.stems)}"
        )
    guide = plan.options.guide
    done = render(
        separator,
        plan.source,
        {KARAOKE: plan.path},
        lambda stems: {KARAOKE: _with_guide(stems, guide)},
        format=plan.format,
        finish=lambda _, staged: _finish(plan, staged),
        existing=plan.options.existing,
        root=plan.root,
        strict=plan.options.strict,
        audio_stream=plan.options.audio_stream,
        max_duration=plan.options.max_duration,
        progress=progress,
    )
    if not done.skipped:
        done = replace(done, warnings=(*plan.warnings, *done.warnings))
    return KaraokeFile(path=plan.path, guide=guide, video=plan.video, **vars(done))


def _with_guide(stems: Stems, guide: float | None) -> Samples:
    """Return the accompaniment ``[C, m]``, with the vocals at the guide's level."""
    accompaniment = stems[ACCOMPANIMENT]
    if guide is None:
        return accompaniment
    return accompaniment + np.float32(10 ** (guide / 20)) * stems[VOCALS]


def _kind(
    reader: AudioReader, options: KaraokeOptions
) -> tuple[OutputFormat, bool, tuple[str, ...]]:
    """Return the format of the sound, whether it goes into a video, and warnings.

    It is what was asked for, else the song's own format, else the nearest one, with a warning.
    """
    if options.format is not None:
        return options.output(options.format), False, ()
    name, suffix = reader.path.name, reader.path.suffix.lower()
    if has_picture(reader.path):
        video = suffix in SOUND_FORMATS
        warning = f"{name}: the picture is left out; only {', '.join(SOUND_FORMATS)} keep it"
        sound = options.output(SOUND_FORMATS.get(suffix, "m4a"))
        return sound, video, () if video else (warning,)
    own = format_like(reader.info, reader.path)
    if options.bit_depth is not None or options.bitrate is not None:
        own = options.output(own.name)
    ending = suffix.removeprefix(".")
    if _ALIASES.get(ending, ending) == own.name:
        return own, False, ()
    warning = f"{name}: this format cannot be written; the karaoke version is {own.name}"
    return own, False, (warning,)


def _finish(plan: KaraokePlan, staged: Path) -> Iterable[str]:
    """Tag the sound; for a video, join it with the picture first."""
    source = plan.source
    if plan.video:
        title = read_tags(source).title or name_as_title(source)
        sound = staged.with_name(f"sound{source.suffix}")
        with writing(staged):
            staged.rename(sound)
            marked = f"{title} ({KARAOKE})"
            replace_sound(source, sound, staged, title=marked, stream=plan.stream)
            sound.unlink()
        if source.suffix.lower() not in _TAGGED_VIDEOS:
            return ()
    return copy_tags(source, staged, stem_title=KARAOKE)
