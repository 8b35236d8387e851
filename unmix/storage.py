"""Files on disk: written whole or not at all, hashed, and the folder of the user's cache."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from errno import EEXIST
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from zlib import crc32

from .errors import AudioError, UnmixError

Existing = Literal["error", "overwrite", "skip"]
EXISTING: tuple[Existing, ...] = ("error", "overwrite", "skip")


def check_existing(existing: str) -> None:
    """Refuse what is no choice about existing files.

    Raises:
        UnmixError: it is not in ``EXISTING``.
    """
    if existing not in EXISTING:
        raise UnmixError(f"existing={existing!r}: choose from {', '.join(EXISTING)}")


def outputs_to_write(
    source: Path, outputs: Mapping[str, Path], existing: Existing
) -> dict[str, Path]:
    """Return the outputs to write, checked before any work is done.

    Args:
        source: the song, which no output may replace.
        outputs: a path by name.
        existing: what to do about files that exist: ``error`` refuses them, ``overwrite`` replaces
            them, ``skip`` leaves them out.

    Raises:
        UnmixError: two outputs share a path, or one is a folder, the song itself, or exists.
        AudioError: a path cannot be examined: its name is too long, or its folder is locked.
    """
    seen: dict[str, str] = {}
    for name, path in outputs.items():
        # Most file systems of Windows and macOS treat "Vocals" and "vocals" as one name.
        other = seen.setdefault(os.path.normcase(path).casefold(), name)
        if other != name:
            raise UnmixError(
                f"{path}: {other} and {name} would be one file; use {{stem}} in the template"
            )
        with writing(path):
            _refuse(name, path, source)
    there = {name: path for name, path in outputs.items() if path.exists()}
    if there and existing == "error":
        raise UnmixError(f"{_listed(there.values())}: {_REMEDY}")
    return {n: path for n, path in outputs.items() if existing != "skip" or n not in there}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system while writing a file into one sentence.

    Wrap only what touches files: an ``OSError`` of a callback, a closed pipe or a lost connection
    is not about the file.

    Args:
        path: the file that the sentence names.

    Raises:
        AudioError: in place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise AudioError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def written_whole(path: Path, *, overwrite: bool = True, fsync: bool = False) -> Iterator[Path]:
    """Yield a hidden path beside a file; the file gets its name when the ``with`` block ends.

    A block that fails leaves an existing file as it was and nothing new beside it. If two write the
    file at once, the last one wins. What a killed process leaves beside the file, the next one on
    the same machine removes. Missing folders are made.

    Args:
        path: the file.
        overwrite: whether to replace an existing file.
        fsync: whether to wait until the content is on the disk, so that a power failure leaves
            either the old file or the new one.

    Raises:
        OSError: the file cannot be written, or exists and may not be replaced.
    """
    # Short, as the file's own name may be as long as names get. With the machine's name, as another
    # machine with the same folder cannot tell which processes run here.
    prefix = f".unmix-{crc32(os.fsencode(f'{socket.gethostname()}/{path.name}')):08x}"
    staged = path.with_name(f"{prefix}-{os.getpid()}-{secrets.token_hex(4)}.part")
    with _folder_made(path.parent):
        try:
            _staged_here.add(staged.name)
            _remove_leftovers(path.parent, prefix)
            yield staged
            if fsync:
                with staged.open("r+b") as file:
                    os.fsync(file.fileno())
            if not overwrite and path.exists():
                raise FileExistsError(EEXIST, os.strerror(EEXIST), str(path))
            staged.replace(path)
        except BaseException:
            with suppress(OSError):
                staged.unlink(missing_ok=True)
            raise
        finally:
            _staged_here.discard(staged.name)


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
                temporary = TemporaryDirectory(
                    prefix=".unmix-", dir=folder, ignore_cleanup_errors=True
                )
            hidden[folder] = Path(stack.enter_context(temporary))
        yield {name: hidden[path.parent] / path.name for name, path in outputs.items()}


def put_in_place(moves: Sequence[tuple[Path, Path]], *, overwrite: bool) -> None:
    """Give staged files their names: all of them, or none.

    Args:
        moves: staged path and final path, on one disk.
        overwrite: whether to replace existing files; they come back if a later move fails.

    Raises:
        UnmixError: a file has appeared under a final name and may not be replaced.
        AudioError: a file cannot be moved; on Windows, because a player has it open.
    """
    there = [final for _, final in moves if final.exists()]
    if there and not overwrite:
        raise UnmixError(f"{_listed(there)}: {_REMEDY}")
    begun: list[tuple[Path, Path, Path]] = []
    try:
        for index, (staged, final) in enumerate(moves):
            replaced = staged.with_name(f"replaced-{index}")
            begun.append((staged, final, replaced))
            with writing(final):
                if final.exists():
                    final.rename(replaced)
                staged.replace(final)
    except BaseException:
        for staged, final, replaced in reversed(begun):
            if replaced.exists():
                replaced.replace(final)
            elif not staged.exists():
                final.unlink(missing_ok=True)
        raise


def cache_folder() -> Path:
    """Return ``$UNMIX_CACHE``, else ``$XDG_CACHE_HOME/unmix``, else the platform's cache folder."""
    if named := os.environ.get("UNMIX_CACHE"):
        return Path(named).expanduser().absolute()
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home).expanduser().absolute() / "unmix"
    import platformdirs

    return Path(platformdirs.user_cache_dir("unmix"))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


_REMEDY = (
    'exists already; existing="overwrite" (--overwrite) replaces it, '
    '"skip" (--skip-existing) keeps it'
)


def _refuse(name: str, path: Path, source: Path) -> None:
    """Refuse a path where a file would destroy something other than an older output."""
    if path.is_dir():
        raise UnmixError(f"{path}: is a folder, where {name} would be written")
    if path.exists() and path.samefile(source):
        raise UnmixError(f"{path}: {name} would replace the song itself; choose another folder")


#: Names that this process writes under now, in ``written_whole``.
_staged_here: set[str] = set()


def _remove_leftovers(folder: Path, prefix: str) -> None:
    """Remove the staged files of processes that have ended."""
    for file in folder.glob(f"{prefix}-*.part"):
        pid = int(file.name.split("-")[2])
        # A process in a restarted container may have the number of the one that was killed.
        running = file.name in _staged_here if pid == os.getpid() else _is_running(pid)
        if not running:
            with suppress(OSError):
                file.unlink()


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":
        return False  # Windows removes no file that a process has open
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))


@contextmanager
def _folder_made(folder: Path) -> Iterator[None]:
    """Make a folder and its parents; remove those that are new if the block fails."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    made: list[Path] = []
    try:
        for place in reversed(missing):
            place.mkdir(exist_ok=True)
            made.append(place)
        yield
    except BaseException:
        for place in reversed(made):
            with suppress(OSError):  # not empty: another process uses it
                place.rmdir()
        raise
