"""Files written whole or not at all: hidden beside their place until they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from errno import EEXIST
from pathlib import Path

from .files import reach_disk
from .hidden import hidden_folder
from .paths import writing
from .publish import publish_new


@contextmanager
def written_whole(path: Path, *, overwrite: bool = True, fsync: bool = False) -> Iterator[Path]:
    """Yield a path in a hidden folder beside a file, which moves there when the block ends.

    A block that fails leaves an existing file as it was and nothing new beside it. If two write the
    file at once, the last one wins, or the first one without ``overwrite``. What killed processes
    have left beside the file is removed; see ``hidden``. Missing folders are made. A link in the
    file's place is replaced: nothing is written to where it leads.

    Args:
        path: the file.
        overwrite: whether to replace an existing file.
        fsync: whether to wait until the content is on the disk, so that a power failure leaves
            either the old file or the new one.

    Raises:
        OSError: the file cannot be written, or exists and may not be replaced.
    """
    with _folder_made(path.parent), hidden_folder(path.parent) as folder:
        staged = folder / path.name
        yield staged
        if fsync:
            reach_disk(staged)
        if overwrite:
            staged.replace(path)
        elif not publish_new(staged, path):
            raise FileExistsError(EEXIST, os.strerror(EEXIST), str(path))


@contextmanager
def staging(outputs: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Yield, for every output, a path in a hidden folder beside its place.

    ``put_in_place`` then gives all of them their names. Missing folders are made. However the
    ``with`` block ends, the hidden folders are removed with everything left in them; if it fails,
    so are the folders that were made. Errors raised in the block pass through unchanged.

    Raises:
        AudioError: a folder cannot be made or written to.
    """
    with ExitStack() as stack:
        hidden: dict[Path, Path] = {}
        for folder in dict.fromkeys(path.parent for path in outputs.values()):
            with writing(folder):
                stack.enter_context(_folder_made(folder))
                # Beside its place, hence on the same disk: renaming is then atomic.
                hidden[folder] = stack.enter_context(hidden_folder(folder))
        yield {name: hidden[path.parent] / path.name for name, path in outputs.items()}


@contextmanager
def _folder_made(folder: Path) -> Iterator[None]:
    """Make a folder and its parents; remove those that are new if the block fails."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    made: list[Path] = []
    maker = os.getpid()
    try:
        for place in reversed(missing):
            place.mkdir(exist_ok=True)
            made.append(place)
        yield
    except BaseException:
        for place in reversed(made) if os.getpid() == maker else ():
            with suppress(OSError):  # not empty: another process uses it
                place.rmdir()
        raise
