"""The songs that arguments name: files, folders, and patterns the shell did not expand."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_AUDIO = (
    "aac ac3 aif aifc aiff amr ape au caf dsf dts flac m4a m4b mka mp2 mp3 mpc oga ogg opus ra spx "
    "tta w64 wav wave wma wv"
)
_VIDEO = "3gp asf avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts vob webm wmv"
#: Endings of songs' names in folders; a file that is named itself may have any.
SONG_SUFFIXES = frozenset(f".{end}" for end in f"{_AUDIO} {_VIDEO}".split())


@dataclass(frozen=True)
class Song:
    """A song to process, or an argument that names none."""

    path: Path
    folder: Path = Path()
    """Its place below the folder that was named."""
    error: str = ""
    """What is wrong with it, if known already."""
    copied: bool = False
    """Whether the path is that of a copy in a temporary folder: of a pipe."""

    @property
    def size(self) -> int:
        """File size in bytes, roughly its share of the work."""
        try:
            return max(1, self.path.stat().st_size)
        except OSError:
            return 1


def find_songs(
    words: Iterable[str], *, recursive: bool, leave_out: Callable[[Path], bool] = lambda _: False
) -> list[Song]:
    """Return the songs that arguments name, each once, in their order.

    Args:
        words: files, folders and patterns.
        recursive: whether to search subfolders.
        leave_out: whether to leave out a file or folder inside a folder.
    """
    seen: set[str] = set()
    songs = []
    for word in words:
        for song in _expand(word, recursive, leave_out):
            place = os.path.realpath(song.path)  # which accepts circular links
            if place not in seen:
                seen.add(place)
                songs.append(song)
    return songs


def _expand(word: str, recursive: bool, leave_out: Callable[[Path], bool]) -> Iterator[Song]:
    from ..audio.sources import is_streamed  # takes a moment, which --help does not need

    path = Path(word)
    if is_streamed(path):
        yield Song(path)
        return
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", word) and not os.path.exists(word):  # noqa: PTH110
        yield Song(path, error=f"{word} is an address: download it first, and give the file")
    elif glob.has_magic(word) and not os.path.exists(word):  # noqa: PTH110  (never raises)
        matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207  (allows ~ and drives)
        if not matches:
            yield Song(path, error=f"{word} matches no files")
        for match in matches:
            yield from _expand_path(Path(match), recursive, leave_out)
    else:
        yield from _expand_path(path, recursive, leave_out)


def _expand_path(path: Path, recursive: bool, leave_out: Callable[[Path], bool]) -> Iterator[Song]:
    try:
        there, is_folder = path.exists(), path.is_dir()
    except OSError as error:
        yield _unreadable(path, error)
        return
    if not there:
        yield Song(path, error=f"{path} does not exist: check the name")
    elif not is_folder:
        yield Song(path)
    else:
        found = list(_walk(path, Path(), recursive, leave_out))
        hint = "" if recursive else "; --recursive searches its subfolders"
        yield from found or [Song(path, error=f"{path} has no audio or video files in it{hint}")]


def _walk(
    folder: Path, place: Path, recursive: bool, leave_out: Callable[[Path], bool]
) -> Iterator[Song]:
    """Yield a folder's songs, then those of its subfolders, sorted; links are not followed.

    A folder that cannot be read yields an error; the songs of the others are still found.
    """
    try:
        entries = [
            entry
            for entry in sorted(folder.iterdir())
            if not entry.name.startswith(".") and not leave_out(entry)
        ]
        files = [e for e in entries if e.suffix.lower() in SONG_SUFFIXES and e.is_file()]
        folders = [e for e in entries if recursive and e.is_dir() and not e.is_symlink()]
    except OSError as error:
        yield _unreadable(folder, error)
        return
    yield from (Song(file, place) for file in files)
    for entry in folders:
        yield from _walk(entry, place / entry.name, recursive, leave_out)


def _unreadable(path: Path, error: OSError) -> Song:
    return Song(path, error=f"{path}: cannot be read: {error.strerror or error}")
