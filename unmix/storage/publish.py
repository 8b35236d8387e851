"""Giving staged files their names: in one step each, never over what has appeared meanwhile."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from errno import EEXIST, EINVAL, EMLINK, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM, EXDEV
from pathlib import Path

from ..errors import UnmixError
from .paths import EXISTS, Existing, listed, writing

# What file systems answer to what they do not have.
_LACKING = {EINVAL, EMLINK, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM, EXDEV}
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


def publish_new(staged: Path, final: Path) -> bool:
    """Give a staged file its name unless something has that name; return whether it did.

    No other process can come between the question and the answer, and none ever sees a part of
    the file; where the file system has neither hard links nor a rename that replaces nothing, it
    may see an empty one for a moment. The staged name may stay: its folder is removed anyway.

    Args:
        staged: a whole file on the same disk.
        final: its name.

    Raises:
        OSError: the file cannot be moved.
    """
    for way in _ways():
        try:
            way(staged, final)
        except FileExistsError:
            return False
        except OSError as error:
            if way is _claim or error.errno not in _LACKING:
                raise
        else:
            return True
    raise AssertionError("the last way works or raises")


def put_in_place(
    moves: Sequence[tuple[Path, Path]], *, existing: Existing = "error"
) -> tuple[Path, ...]:
    """Give staged files their names: all of them, or none.

    Args:
        moves: staged path and final path, on one disk.
        existing: what to do about files that have appeared: ``error`` refuses them, ``skip`` keeps
            them, ``overwrite`` replaces them; they come back if a later move fails.

    Returns:
        The files that had appeared and were kept.

    Raises:
        UnmixError: a file has appeared under a final name and may not be replaced.
        AudioError: a file cannot be moved; on Windows, because a player has it open.
    """
    kept: list[Path] = []
    moved: set[Path] = set()
    ours = {final: staged.lstat() for staged, final in moves}
    older = _older(moves) if existing == "overwrite" and len(moves) > 1 else {}
    try:
        for staged, final in moves:
            with writing(final):
                if existing == "overwrite":
                    staged.replace(final)
                    moved.add(final)
                elif publish_new(staged, final):
                    moved.add(final)
                else:
                    kept.append(final)
        if kept and existing == "error":
            raise UnmixError(f"{listed(kept)}: {EXISTS}")
    except BaseException:
        for final, identity in ours.items():
            if final in moved or _is(final, identity):
                _take_back(final, older)
        raise
    return tuple(kept)


def _older(moves: Sequence[tuple[Path, Path]]) -> Mapping[Path, Path]:
    """Give the files that will be replaced a second name beside the new ones, or copy them."""
    older: dict[Path, Path] = {}
    for index, (staged, final) in enumerate(moves):
        if os.path.lexists(final):
            second = staged.with_name(f"replaced-{index}")
            with writing(final):
                try:
                    os.link(final, second, follow_symlinks=False)
                except (OSError, NotImplementedError):
                    shutil.copy2(final, second, follow_symlinks=False)
            older[final] = second
    return older


def _take_back(final: Path, older: Mapping[Path, Path]) -> None:
    with suppress(OSError):
        if final in older:
            older[final].replace(final)
        else:
            final.unlink()


def _is(path: Path, identity: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), identity)
    except OSError:
        return False


def _ways() -> tuple[Callable[[Path, Path], None], ...]:
    """Return the ways to move a file that replace nothing, the best first."""
    if sys.platform == "win32":
        return (Path.rename, _claim)
    return (_link, _rename_new, _claim)


def _link(staged: Path, final: Path) -> None:
    os.link(staged, final)


def _rename_new(staged: Path, final: Path) -> None:
    """Rename, where Linux has the call for it; exFAT has no links but has this."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        raise OSError(ENOSYS, os.strerror(ENOSYS)) from None
    names = (os.fsencode(staged), os.fsencode(final))
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(final))


def _claim(staged: Path, final: Path) -> None:
    """Take the name with an empty file, which only one process can, and replace that."""
    if final.is_symlink():
        raise FileExistsError(EEXIST, os.strerror(EEXIST), str(final))
    final.touch(exist_ok=False)
    try:
        staged.replace(final)
    except BaseException:
        with suppress(OSError):
            final.unlink()
        raise
