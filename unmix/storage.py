"""Files on disk: written whole or not at all, hashed, and the folder of the user's cache."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from .errors import AudioError, UnmixError

Existing = Literal["error", "overwrite", "skip"]
EXISTING: tuple[Existing, ...] = ("error", "overwrite", "skip")


def outputs_to_write(
    source: Path, outputs: Mapping[str, Path], existing: Existing
) -> dict[str, Path]:
    """Return the outputs that are to be made, before any work is done.

    Args:
        source: the song, which no output may replace.
        outputs: a path by name.
        existing: what becomes of those that exist: ``error`` refuses, ``overwrite`` makes them
            anew, ``skip`` leaves them out.

    Raises:
        UnmixError: two outputs have one path, one is a folder or the song itself, or exists.
        AudioError: a path cannot be looked at: its name is too long, its folder locked.
    """
    if existing not in EXISTING:
        raise UnmixError(f"existing={existing!r}: choose from {', '.join(EXISTING)}")
    seen: dict[str, str] = {}
    for name, path in outputs.items():
        # Most file systems of Windows and macOS take "Vocals" and "vocals" for one name.
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
    """Make one sentence of what the operating system says to writing: no room, no permission.

    It belongs around what touches files, and around nothing else: an ``OSError`` of a callback, of
    a closed pipe or a connection that is gone, is not about the file.

    Args:
        path: what the sentence names.

    Raises:
        AudioError: in place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise AudioError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def staging(outputs: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Yield, for every output, a path in a hidden folder beside its place.

    Missing folders are made. However the ``with`` block ends, the hidden folders are removed with
    all that is still in them; when it fails, the folders that were made are removed too. What the
    block raises passes through as it is.

    Raises:
        AudioError: a folder cannot be made or written to.
    """
    made: list[Path] = []
    try:
        with ExitStack() as stack:
            hidden: dict[Path, Path] = {}
            for folder in dict.fromkeys(path.parent for path in outputs.values()):
                with writing(folder):
                    _make(folder, made)
                    # Beside its place, hence on the same disk: renaming is then atomic.
                    temporary = TemporaryDirectory(
                        prefix=".unmix-", dir=folder, ignore_cleanup_errors=True
                    )
                hidden[folder] = Path(stack.enter_context(temporary))
            yield {name: hidden[path.parent] / path.name for name, path in outputs.items()}
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):  # somebody else has put something there meanwhile
                folder.rmdir()
        raise


def publish(moves: Sequence[tuple[Path, Path]], *, overwrite: bool) -> None:
    """Give staged files their names: all of them, or none.

    Args:
        moves: staged path and final path, on one disk.
        overwrite: whether existing files are replaced; they come back if a later move fails.

    Raises:
        UnmixError: a file has appeared under a final name, and may not be replaced.
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
    """Return ``$UNMIX_CACHE``, or ``$XDG_CACHE_HOME/unmix``, or what is usual on the platform."""
    if named := os.environ.get("UNMIX_CACHE"):
        return Path(named).expanduser().absolute()
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home).expanduser().absolute() / "unmix"
    import platformdirs

    return Path(platformdirs.user_cache_dir("unmix"))


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


_REMEDY = (
    'exists already; existing="overwrite" (--overwrite) replaces, "skip" (--skip-existing) keeps'
)


def _refuse(name: str, path: Path, source: Path) -> None:
    """Refuse a path where a file would destroy something else than an older output."""
    if path.is_dir():
        raise UnmixError(f"{path}: is a folder, where {name} would be written")
    if path.exists() and path.samefile(source):
        raise UnmixError(f"{path}: {name} would replace the song itself; choose another folder")


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder and its parents; note in ``made`` those that were not there."""
    if not folder.exists():
        _make(folder.parent, made)
        folder.mkdir(exist_ok=True)
        made.append(folder)
