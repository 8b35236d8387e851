"""Reading a song's tags, and copying them to its stems across file formats.

Only the fields listed here are copied. ReplayGain, Sound Check and the like are not: they describe
the loudness of the song, which its stems do not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import av
import mutagen

from ..errors import AudioError
from .tag_formats import Picture, read_fields, read_pictures, write_fields

#: FFmpeg's names of the fields, for files that mutagen does not know.
_FFMPEG_NAMES = {
    "title": "title",
    "artist": "artist",
    "album_artist": "album_artist",
    "album": "album",
    "track": "track",
    "disc": "disc",
    "date": "date",
    "genre": "genre",
    "composer": "composer",
    "lyrics": "lyrics",
    "comment": "comment",
    "copyright": "copyright",
}

#: FFmpeg's names of the file formats that mutagen knows. It sometimes takes others for these, such
#: as an AVI for a WAV, and finds them damaged.
_KNOWN_TO_MUTAGEN = {
    *("aac", "ac3", "aiff", "ape", "asf", "dsf", "eac3", "flac", "mov", "mp3", "mpc", "mpc8"),
    *("ogg", "tak", "tta", "wav", "wv"),
}


@dataclass(frozen=True, kw_only=True)
class Tags:
    """The tags of a file."""

    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Texts by name: title, artist, album_artist, album, track ("3" or "3/12"), disc, date, genre,
    composer, lyrics, comment, copyright. A name may have several texts."""
    pictures: tuple[Picture, ...] = ()
    """Cover art."""

    @property
    def title(self) -> str | None:
        """The song's title."""
        return self.text("title")

    @property
    def artist(self) -> str | None:
        """The artists, separated by commas."""
        return self.text("artist")

    @property
    def album_artist(self) -> str | None:
        """The artists of the album, separated by commas."""
        return self.text("album_artist")

    @property
    def album(self) -> str | None:
        """The album's title."""
        return self.text("album")

    @property
    def genre(self) -> str | None:
        """The genres, separated by commas."""
        return self.text("genre")

    @property
    def date(self) -> str | None:
        """The date as written, often only a year."""
        return self.text("date")

    @property
    def year(self) -> int | None:
        """The date's year."""
        digits = (self.date or "")[:4]
        return int(digits) if len(digits) == 4 and digits.isdecimal() else None

    @property
    def track(self) -> int | None:
        """The number of the track on its disc."""
        return _number(self.text("track"))

    @property
    def disc(self) -> int | None:
        """The number of the disc."""
        return _number(self.text("disc"))

    def text(self, name: str) -> str | None:
        """Return a field's texts, separated by commas; None if there are none."""
        return ", ".join(self.fields.get(name, ())) or None


def _number(text: str | None) -> int | None:
    digits = (text or "").split("/")[0].strip()
    return int(digits) if digits.isdecimal() else None


def read_tags(path: str | PathLike[str]) -> Tags:
    """Return the tags of a file, which are empty if they are missing or damaged."""
    return _read(Path(path), [])


def name_as_title(path: Path) -> str:
    """Return a file's name without its ending; bytes that are no UTF-8 become a mark."""
    return path.stem.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def copy_tags(
    source: str | PathLike[str], destination: str | PathLike[str], *, stem_title: str | None
) -> list[str]:
    """Copy a song's tags to another audio file, whose samples do not change.

    Args:
        source: the song.
        destination: a complete audio file.
        stem_title: added to the title, as in "Song (vocals)"; a song without a title has the name
            of its file. None keeps the title.

    Returns:
        Sentences on what could not be read or written: damaged tags are not an error.

    Raises:
        AudioError: the disk is full or read-only.
    """
    source, destination = Path(source), Path(destination)
    warnings: list[str] = []
    tags = _read(source, warnings)
    if stem_title is not None:
        title = f"{tags.title or name_as_title(source)} ({stem_title})"
        tags = replace(tags, fields={**tags.fields, "title": (title,)})
    try:
        left_out = _write(destination, tags)
    except Exception as error:
        cause = _system_error(error)
        if cause is not None:
            reason = cause.strerror or str(cause)
            raise AudioError(f"{destination} cannot be tagged: {reason}") from error
        return [*warnings, f"the tags of {source.name} could not be written: {_short(error)}"]
    return [
        *warnings,
        *(f"the tags of {source.name} were copied without {what}" for what in left_out),
    ]


def _read(path: Path, warnings: list[str]) -> Tags:
    """Read tags with mutagen, or with FFmpeg if mutagen finds none."""
    fields: dict[str, tuple[str, ...]] = {}
    pictures: tuple[Picture, ...] = ()
    try:
        file = mutagen.File(path)
        if file is not None and file.tags is not None:
            fields = read_fields(file)
            pictures = read_pictures(file)
    except Exception as error:  # mutagen raises anything on damaged tags
        if not _is_strange(path):
            warnings.append(f"the tags of {path.name} are damaged: {_short(error)}")
    return Tags(fields=fields or _ffmpeg_fields(path), pictures=pictures)


def _is_strange(path: Path) -> bool:
    """Return whether FFmpeg finds that a file has a format that mutagen does not know."""
    try:
        with path.open("rb") as file, av.open(file, "r", metadata_errors="replace") as container:
            names = container.format.name.split(",")
    except (av.FFmpegError, OSError, ValueError):
        return False
    return _KNOWN_TO_MUTAGEN.isdisjoint(names)


def _ffmpeg_fields(path: Path) -> dict[str, tuple[str, ...]]:
    try:
        with path.open("rb") as file, av.open(file, "r", metadata_errors="replace") as container:
            metadata = dict(container.metadata)
            if container.streams.audio:
                metadata = {**container.streams.audio[0].metadata, **metadata}
    except (av.FFmpegError, OSError, ValueError):
        return {}
    lower = {name.lower(): text for name, text in metadata.items()}
    return {name: (lower[theirs],) for theirs, name in _FFMPEG_NAMES.items() if lower.get(theirs)}


def _write(destination: Path, tags: Tags) -> list[str]:
    """Write the tags; return what the format cannot hold."""
    if not tags.fields and not tags.pictures:
        return []
    file: Any = mutagen.File(destination)
    if file is None:
        raise ValueError(f"the format of {destination.name} has no tags")
    if file.tags is None:
        file.add_tags()
    left_out = write_fields(file, tags.fields, tags.pictures)
    file.save()
    return left_out


def _system_error(error: BaseException | None) -> OSError | None:
    """Return the operating system's error inside one of mutagen's."""
    while error is not None:
        if isinstance(error, OSError):
            return error
        wrapped = error.args[0] if error.args else None
        if isinstance(wrapped, OSError):
            return wrapped
        error = error.__cause__ or error.__context__
    return None


def _short(error: BaseException) -> str:
    text = str(error).splitlines()
    return text[0][:120] if text else type(error).__name__
