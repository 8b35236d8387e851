"""Reading the tags of any file: with mutagen as far as it knows it, else with FFmpeg."""

# mypy: allow-untyped-calls
# (mutagen declares itself typed, but most of its functions are not.)

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import mutagen
from mutagen.id3 import ID3FileType

from .container import open_container
from .tag_formats import Fields, Picture, read_fields, read_pictures

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
_UNKNOWN_TO_MUTAGEN = (b"RF64",)  # first bytes of files that it takes for damaged others


def read_all(path: Path) -> tuple[Fields, tuple[Picture, ...], Exception | None]:
    """Return a file's fields, its cover art, and what is wrong with its tags, if anything is."""
    damage: Exception | None = None
    for way in _WAYS:
        fields: Fields = {}
        try:
            file = way(path)
            if file is not None and file.tags is not None:
                fields = read_fields(file)
                broken: list[Exception] = []
                pictures = read_pictures(file, broken)
                if fields or pictures or broken:
                    return fields or _ffmpeg_fields(path), pictures, next(iter(broken), None)
        except Exception as error:  # mutagen raises anything on damaged tags
            damage = damage or error
            if fields:
                return fields, (), error
    return _ffmpeg_fields(path), (), None if damage is None or _is_strange(path) else damage


def _by_content(path: Path) -> Any:
    """Open a file that has another name than its kind."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    with open(number, "rb") as file:  # noqa: PTH123  (nameless: mutagen looks at names)
        return mutagen.File(file)


def _by_first_tag(path: Path) -> Any:
    """Read ID3 in front of a file of any kind: some programs put it before WAV, AAC and others."""
    file = ID3FileType(path)
    return None if file.tags is None else file


_WAYS: tuple[Callable[[Path], Any], ...] = (mutagen.File, _by_content, _by_first_tag)


def _is_strange(path: Path) -> bool:
    """Return whether FFmpeg finds that a file has a format that mutagen does not know."""
    try:
        with path.open("rb") as file:
            if file.read(4) in _UNKNOWN_TO_MUTAGEN:
                return True
        with path.open("rb") as file, open_container(file) as container:
            names = container.format.name.split(",")
    except (av.FFmpegError, OSError, ValueError):
        return False
    return _KNOWN_TO_MUTAGEN.isdisjoint(names)


def _ffmpeg_fields(path: Path) -> dict[str, tuple[str, ...]]:
    try:
        with path.open("rb") as file, open_container(file) as container:
            metadata = dict(container.metadata)
            if container.streams.audio:
                metadata = {**container.streams.audio[0].metadata, **metadata}
    except (av.FFmpegError, OSError, ValueError):
        return {}
    lower = {name.lower(): text for name, text in metadata.items()}
    return {name: (lower[theirs],) for theirs, name in _FFMPEG_NAMES.items() if lower.get(theirs)}
