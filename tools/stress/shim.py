"""A C library that is loaded before all others: reads, writes and the clock fail when asked to."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

_SOURCE = Path(__file__).with_name("shim.c")
_LOADED = "STRESS_SHIM"
_WHAT = {"read": 1, "write": 2}


def start_again(arguments: Sequence[str]) -> None:
    """Replace this process by the same one with the library; return if it is there, or cannot be.

    Args:
        arguments: of ``python -m tools.stress``.
    """
    compiler = shutil.which("cc")
    if _LOADED in os.environ or not compiler or not sys.platform.startswith("linux"):
        return
    folder = tempfile.mkdtemp(prefix="stress-shim-")
    library = f"{folder}/shim.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", library, str(_SOURCE), "-ldl"]
    if subprocess.run(command, check=False).returncode:
        shutil.rmtree(folder)
        return
    more = {_LOADED: library, "LD_PRELOAD": library}
    os.execve(sys.executable, [sys.executable, "-m", "tools.stress", *arguments], os.environ | more)


def is_loaded() -> bool:
    """Return whether this process has the library."""
    return _LOADED in os.environ


def remove() -> None:
    """Remove the library's file; processes that have it keep it."""
    if library := os.environ.pop(_LOADED, None):
        os.environ.pop("LD_PRELOAD", None)
        shutil.rmtree(Path(library).parent, ignore_errors=True)


@contextmanager
def failing(what: Literal["read", "write"], error: int, after: int, under: Path) -> Iterator[None]:
    """Let reads or writes of files under a path fail with an error, after so many bytes."""
    library = ctypes.CDLL(None)
    library.stress_fail(_WHAT[what], error, ctypes.c_long(after), os.fsencode(under.resolve()))
    try:
        yield
    finally:
        library.stress_fail(0, 0, ctypes.c_long(0), b"")


@contextmanager
def clock_off(seconds: int) -> Iterator[None]:
    """Let the time of day be off by so many seconds."""
    library = ctypes.CDLL(None)
    library.stress_jump(ctypes.c_long(seconds))
    try:
        yield
    finally:
        library.stress_jump(ctypes.c_long(0))
