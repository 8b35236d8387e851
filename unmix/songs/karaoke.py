"""A song file in, a backing track to sing to out: beside the song, in its format, with its tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from .._types import Progress, Samples
from ..audio import AudioReader, OutputFormat, format_like, open_audio
from ..audio.tags import copy_tags, read_tags
from ..audio.video import SOUND_FORMATS, has_picture, replace_sound
from ..errors import UnmixError
from ..stems import ACCOMPANIMENT, VOCALS
from ..storage import Existing, outputs_to_write, writing
from .naming import beside
from .render import Stems, StemSeparator, render

MARK = "karaoke"

# Videos whose tags are those of m4a; others have what FFmpeg copies.
_TAGGED_VIDEOS = (".mp4", ".m4v")
# Names that say a format we write under another ending.
_ALIASES = {"aif": "aiff", "aifc": "aiff", "oga": "ogg", "wave": "wav", "m4b": "m4a"}


@dataclass(frozen=True, kw_only=True)
class KaraokeFile:
    """What ``karaoke_file`` did; its fields stay what they are from release to release."""

    source: Path
    """The song, as it was given."""
    path: Path
    """The backing track."""
    guide: float | None
    """Level in dB, at most 0, at which the singer was left in; None where left out."""
    video: bool
    """Whether the backing track is a video, with the song's own picture."""
    sample_rate: int
    """Hz: the song's own, unless the format cannot hold it. 0 where skipped."""
    channels: int
    """Audio channels of song and backing track. 0 where skipped."""
    samples: int
    """Samples per channel of the sound, at ``sample_rate``. 0 where skipped."""
    seconds: float
    """Length of the sound. 0 where skipped."""
    gain: float
    """What the sound was multiplied by so that it does not clip, in (0, 1]; 1 where it was not."""
    warnings: tuple[str, ...]
    """Sentences on what was mended, is missing, or differs from the song."""
    skipped: bool
    """Whether the file was there, and was kept: the song was not decoded."""


def karaoke(
    path: str | PathLike[str],
    out_dir: str | PathLike[str] | None = None,
    *,
    model: str | Path = "default",
    quality: str = "balanced",
    device: str = "auto",
    guide: float | None = None,
    format: str | None = None,  # noqa: A002  (the word users know, and a keyword only)
    existing: Existing = "error",
    progress: Progress | None = None,
) -> KaraokeFile:
    """Write a song's backing track, ``NAME (karaoke).EXT``.

    For several songs, make one ``Separator`` and give it to ``backing.karaoke_file``, which has
    more options.

    Args:
        path: the song; a video keeps its picture.
        out_dir: folder of the backing track; the song's own where it is None.
        model: name of a model, or path of a file of weights.
        quality: ``fast``, ``balanced`` or ``best``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        guide: level in dB, at most 0, at which the singer stays in as a guide; None: not at all.
        format: wav, flac, aiff, mp3, ogg, opus or m4a; the song's own where it is None.
        existing: "error", "overwrite" or "skip".
        progress: called with the fraction done, in [0, 1]; what it raises cancels.

    Raises:
        UnmixError: in one sentence, for what cannot be read, separated or written.
    """
    from .separator import Separator  # brings torch, which nothing else here needs

    return karaoke_file(
        Separator(model, device=device, quality=quality),
        path,
        out_dir,
        guide=guide,
        format=format,
        existing=existing,
        progress=progress,
    )


def karaoke_file(
    separator: StemSeparator,
    path: str | PathLike[str],
    out_dir: str | PathLike[str] | None = None,
    *,
    guide: float | None = None,
    format: str | None = None,  # noqa: A002  (the word users know, and a keyword only)
    bit_depth: int | None = None,
    bitrate: int | str | None = None,
    existing: Existing = "error",
    strict: bool = False,
    progress: Progress | None = None,
) -> KaraokeFile:
    """Write a song's backing track, in memory that does not grow with the song's length.

    It has the song's length, channels, sample rate, tags and cover, its title marked "(karaoke)". A
    video in mp4, mov, mkv or webm gives a video with the same picture, unless ``format`` is given.

    Args:
        separator: what separates, such as ``unmix.Separator``, into vocals and accompaniment.
        path: the song.
        out_dir: folder of the backing track; the song's own where it is None.
        guide: level in dB, at most 0, at which the singer stays in as a guide; None: not at all.
        format: wav, flac, aiff, mp3, ogg, opus or m4a; the song's own, or the nearest that can be
            written, where it is None.
        bit_depth: 16, 24 or 32 (float) for wav, 16 or 24 for flac and aiff; the song's own where
            neither it nor ``format`` is given.
        bitrate: of lossy formats, in bits per second or as in "320k"; about the song's own where
            neither it nor ``format`` is given.
        existing: "error" refuses to replace a file, "overwrite" does, "skip" leaves it.
        strict: whether a song of which a part does not decode is an error; else it is a warning.
        progress: called with the fraction done, in [0, 1], often. What it raises passes through,
            and cancels: no file, no folder is left behind.

    Raises:
        AudioError: the song cannot be read, or the backing track cannot be written.
        ConfigError: the format's options do not fit together.
        UnmixError: a guide above 0 dB, a model without vocals, or a file that is in the way.
    """
    if guide is not None and not guide <= 0:
        raise UnmixError(f"a guide of {guide:g} dB would be louder than the song: use 0 or less")
    if VOCALS not in separator.stems or ACCOMPANIMENT not in separator.stems:
        raise UnmixError(
            f"the model {separator.model_name} gives {', '.join(separator.stems)}: "
            f"a backing track needs {VOCALS} and {ACCOMPANIMENT}"
        )
    source = Path(path)
    with open_audio(source) as reader:
        plan = _plan(reader, format, bit_depth, bitrate)
        track = _track(source, out_dir, plan)
        outputs = outputs_to_write(source, {MARK: track}, existing)
        done = None
        if outputs:
            done = render(
                separator,
                reader,
                outputs,
                lambda stems: {MARK: _backing(stems, guide)},
                format=plan.format,
                finish=lambda _, staged: _finish(source, staged, video=plan.video),
                overwrite=existing == "overwrite",
                strict=strict,
                progress=progress,
            )
    return KaraokeFile(
        source=source,
        path=track,
        guide=guide,
        video=plan.video,
        sample_rate=done.sample_rate if done else 0,
        channels=done.channels if done else 0,
        samples=done.samples if done else 0,
        seconds=done.samples / done.sample_rate if done else 0.0,
        gain=done.gain if done else 1.0,
        warnings=(*plan.warnings, *done.warnings) if done else (),
        skipped=done is None,
    )


def backing_path(
    path: str | PathLike[str],
    out_dir: str | PathLike[str] | None = None,
    *,
    format: str | None = None,  # noqa: A002  (the word users know, and a keyword only)
) -> Path:
    """Return where ``karaoke_file`` writes the backing track of a song; nothing is made.

    Args:
        path: the song; it is opened, as its kind decides how the name ends.
        out_dir: as for ``karaoke_file``.
        format: as for ``karaoke_file``.

    Raises:
        AudioError: the song cannot be read.
        ConfigError: the format is unknown.
    """
    source = Path(path)
    with open_audio(source) as reader:
        return _track(source, out_dir, _plan(reader, format, None, None))


def _backing(stems: Stems, guide: float | None) -> Samples:
    """Return the accompaniment ``[C, m]``, with the singer at the guide's level."""
    backing = stems[ACCOMPANIMENT]
    if guide is not None:
        backing = backing + np.float32(10 ** (guide / 20)) * stems[VOCALS]
    return backing


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What kind of file a backing track becomes."""

    format: OutputFormat
    video: bool = False
    warnings: tuple[str, ...] = ()


def _plan(
    reader: AudioReader, name: str | None, bit_depth: int | None, bitrate: int | str | None
) -> _Plan:
    """Choose what was asked for; else the song's own kind, or the nearest, which is said."""
    if name is not None:
        return _Plan(format=OutputFormat.parse(name, bit_depth, bitrate))
    suffix = reader.path.suffix.lower()
    if has_picture(reader.path):
        like = SOUND_FORMATS.get(suffix, "m4a")
        video = suffix in SOUND_FORMATS
        warning = (
            f"{reader.path.name}: its picture stays behind; only {', '.join(SOUND_FORMATS)} keep it"
        )
        sound = OutputFormat.parse(like, bit_depth, bitrate)
        return _Plan(format=sound, video=video, warnings=() if video else (warning,))
    own = format_like(reader.info, reader.path)
    if bit_depth is not None or bitrate is not None:
        own = OutputFormat.parse(own.name, bit_depth, bitrate)
    ending = suffix.removeprefix(".")
    if _ALIASES.get(ending, ending) == own.name:
        return _Plan(format=own)
    warning = f"{reader.path.name}: cannot be written as it is; its backing track is {own.name}"
    return _Plan(format=own, warnings=(warning,))


def _track(source: Path, out_dir: str | PathLike[str] | None, plan: _Plan) -> Path:
    """Return the path of the backing track that a plan gives."""
    ext = source.suffix if plan.video else plan.format.extension
    return beside(source, MARK, ext, None if out_dir is None else Path(out_dir))


def _finish(source: Path, staged: Path, *, video: bool) -> Iterable[str]:
    """Tag the sound; for a video, put it under the picture first."""
    if video:
        title = read_tags(source).title or source.stem
        sound = staged.with_name(f"sound{source.suffix}")
        with writing(staged):
            staged.rename(sound)
            replace_sound(source, sound, staged, title=f"{title} ({MARK})")
            sound.unlink()
        if source.suffix.lower() not in _TAGGED_VIDEOS:
            return ()
    return copy_tags(source, staged, stem_title=MARK)
