"""From what stands on the command line to songs: files, folders, and patterns no shell expanded."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_AUDIO = (
    "aac ac3 aif aifc aiff amr ape au caf dsf dts flac m4a m4b mka mp2 mp3 mpc oga ogg opus ra spx "
    "tta w64 wav wave wma wv"
)
_VIDEO = "3gp asf avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts vob webm wmv"
#: Ends of names that are tried in folders; a file that is named itself is always tried.
SUFFIXES = frozenset(f".{end}" for end in f"{_AUDIO} {_VIDEO}".split())


@dataclass(frozen=True)
class Song:
    """One song to work on, or a word on the command line that gave none."""

    path: Path
    folder: Path = Path()
    """Where it lay below the folder that was named."""
    error: str = ""
    """What is wrong with it, if that is known already."""

    @property
    def size(self) -> int:
        """Bytes: how much of a batch's work it is, roughly."""
        try:
            return max(1, self.path.stat().st_size)
        except OSError:
            return 1


def find_songs(
    words: Iterable[str], *, recursive: bool, leave_out: Callable[[Path], bool] = lambda _: False
) -> list[Song]:
    """Return the songs that words on the command line name, each once, in their order.

    Args:
        words: files, folders and patterns.
        recursive: whether folders are searched to the bottom.
        leave_out: says of a file or folder inside a folder that it is no song.
    """
    seen: set[str] = set()
    songs = []
    for word in words:
        for song in _expand(word, recursive, leave_out):
            place = os.path.realpath(song.path)  # which takes links in a circle, too
            if place not in seen:
                seen.add(place)
                songs.append(song)
    return songs


def _expand(word: str, recursive: bool, leave_out: Callable[[Path], bool]) -> Iterator[Song]:
    path = Path(word)
    if glob.has_magic(word) and not os.path.exists(word):  # noqa: PTH110  (never raises)
        matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207  (takes ~ and drives)
        if not matches:
            yield Song(path, error=f"{word} matches no file")
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
        hint = "" if recursive else "; --recursive searches the folders in it"
        yield from found or [Song(path, error=f"{path} holds no audio or video files{hint}")]


def _walk(
    folder: Path, place: Path, recursive: bool, leave_out: Callable[[Path], bool]
) -> Iterator[Song]:
    """Yield a folder's songs, then its folders', sorted; links to folders are not followed.

    A folder that cannot be read is an error of its own: the songs of the others are still found.
    """
    try:
        entries = [
            entry
            for entry in sorted(folder.iterdir())
            if not entry.name.startswith(".") and not leave_out(entry)
        ]
        files = [e for e in entries if e.suffix.lower() in SUFFIXES and e.is_file()]
        folders = [e for e in entries if recursive and e.is_dir() and not e.is_symlink()]
    except OSError as error:
        yield _unreadable(folder, error)
        return
    yield from (Song(file, place) for file in files)
    for entry in folders:
        yield from _walk(entry, place / entry.name, recursive, leave_out)


def _unreadable(path: Path, error: OSError) -> Song:
    return Song(path, error=f"{path}: cannot be read: {error.strerror or error}")
