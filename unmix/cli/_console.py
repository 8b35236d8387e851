"""Output: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

#: Exit code after an interrupt from the keyboard.
INTERRUPTED = 130


# Escape sequences of names would command the terminal; marks of direction would reorder the line.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text in which characters that would command a terminal are written as escapes."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class _Console(Console):
    """A console on which no file name commands the terminal.

    Args:
        exact: whether lines are for a program, which needs names as they are.
        options: see ``Console``.
    """

    def __init__(self, *, exact: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._exact = exact

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, with texts made visible."""
        if not self._exact:
            objects = tuple(visible(it) if isinstance(it, str) else it for it in objects)
        super().print(*objects, **options)


def results() -> Console:
    """Return the console for results; in a pipe, names stay exact."""
    return _Console(
        exact=not sys.stdout.isatty(), soft_wrap=True, highlight=False, markup=False, emoji=False
    )


def notes() -> Console:
    """Return the console for progress, warnings, errors and the summary."""
    return _Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def say_error(sentence: str) -> None:
    """Print an error on one line."""
    _say("error", "bold red", sentence)


def say_warning(sentence: str) -> None:
    """Print a warning on one line."""
    _say("warning", "yellow", sentence)


def _say(kind: str, style: str, sentence: str) -> None:
    line = visible(" ".join(sentence.splitlines()))
    notes().print(Text.assemble((f"{kind}:", style), f" {line}"))
    sys.stderr.flush()


def clock(seconds: float) -> str:
    """Return a duration as ``m:ss`` or ``h:mm:ss``."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def size_text(size: int) -> str:
    """Return a size in bytes in decimal units: ``14.7 MB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def plain_items(items: Mapping[str, object]) -> dict[str, object]:
    """Return a mapping with its values as JSON has them."""
    return {name: _plain_value(value) for name, value in items.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return plain_items(value)
    if isinstance(value, tuple):
        return [_plain_value(item) for item in value]
    return value


def print_json(document: object) -> None:
    """Print one JSON document, in ASCII, which is valid in every locale."""
    typer.echo(json.dumps(document, indent=2))
