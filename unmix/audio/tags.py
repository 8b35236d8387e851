"""Reading a song's tags, and copying them to its stems across file formats.

Only the fields listed here are copied. ReplayGain, Sound Check and the like are not: they describe
the loudness of the song, which its stems do not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import mutagen

from ..errors import AudioError
from .tag_formats import Picture, read_fields, read_pictures, write_fields
from .tag_reading import read_all

_LONG = 60  # characters: longer texts are not repeated in a sentence


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
        _write_what_fits(destination, tags)
    except _Refused as error:
        return [*warnings, f"the tags of {source.name} could not be written: {error}"]
    return [
        *warnings,
        *(
            f"the tags of {source.name} were copied without {what}"
            for what in _left_out(destination, tags)
        ),
    ]


def _left_out(destination: Path, tags: Tags) -> Iterator[str]:
    """Read tags back, and name the ones that are not there: no format says so of itself."""
    if not tags.fields and not tags.pictures:
        return
    try:
        file = mutagen.File(destination)
        fields, pictures = read_fields(file), read_pictures(file, [])
    except Exception as error:  # mutagen raises anything
        raise AudioError(
            f"{destination} cannot be tagged: what was written cannot be read ({_short(error)}); "
            "check the disk"
        ) from error
    for name, texts in tags.fields.items():
        text = ", ".join(texts)
        if text.strip(" ,0/") and name not in fields:
            shown = repr(text) if len(text) < _LONG else f"of {len(text):,} characters"
            yield f"the {name} {shown}"
    for art in tags.pictures:
        if all(art.data != other.data for other in pictures):
            kind = art.mime if art.mime.isprintable() and len(art.mime) < _LONG else "unknown"
            yield f"a picture of {len(art.data):,} bytes ({kind or 'unknown'})"


def _read(path: Path, warnings: list[str]) -> Tags:
    fields, pictures, damage = read_all(path)
    if damage is not None:
        warnings.append(f"the tags of {path.name} are damaged: {_short(damage)}")
    return Tags(fields=fields, pictures=pictures)


class _Refused(Exception):  # noqa: N818  (caught here, with its sentence)
    """The format does not take these tags."""


def _write_what_fits(destination: Path, tags: Tags) -> None:
    """Write the tags, or if the format refuses them, every one it takes.

    Raises:
        _Refused: it takes none of them.
        AudioError: the disk is full or read-only.
    """
    if not tags.fields and not tags.pictures:
        return
    try:
        _write(destination, tags)
        return
    except _Refused as error:
        refused = error
    taken = 0
    for name, texts in tags.fields.items():
        with suppress(_Refused):
            _write(destination, Tags(fields={name: texts}))
            taken += 1
    kept: tuple[Picture, ...] = ()
    for picture in tags.pictures:
        with suppress(_Refused):
            _write(destination, Tags(pictures=(*kept, picture)))
            kept = (*kept, picture)
    if not taken and not kept:
        raise refused


def _write(destination: Path, tags: Tags) -> None:
    """Add tags to a file, without those that the format has no place for.

    Raises:
        _Refused: the format does not take them; the file is as before.
        AudioError: the disk is full or read-only.
    """
    try:
        file: Any = mutagen.File(destination)
        if file is None:
            raise _Refused(f"the format of {destination.name} has no tags")
        if file.tags is None:
            file.add_tags()
        write_fields(file, tags.fields, tags.pictures)
        file.save()
    except _Refused:
        raise
    except Exception as error:  # mutagen raises anything
        cause = _system_error(error)
        if cause is not None:
            reason = cause.strerror or str(cause)
            raise AudioError(f"{destination} cannot be tagged: {reason}; check the disk") from error
        raise _Refused(_short(error)) from error


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
