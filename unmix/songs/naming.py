"""Where a stem goes: a template becomes a path that is safe on every system."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import UnmixError

#: A template's fields, and what stands there if the song's tags do not say.
FIELDS: Mapping[str, str] = {
    "name": "untitled",
    "artist": "Unknown artist",
    "title": "untitled",
    "album": "Unknown album",
    "track": "00",
    "stem": "stem",
    "model": "model",
    "ext": "wav",
}
DEFAULT_TEMPLATE = "{name}/{stem}.{ext}"

# File systems allow 255 bytes (or UTF-16 units) a part; the rest is room for temporary names.
_PART_BYTES = 200
# A long artist and a long title must not push the stem's name off the end: all values shrink alike.
_VALUE_BYTES = (160, 80, 40, 20)
_WHOLE_FIELDS = frozenset({"stem", "track", "ext"})
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.I)


def check_template(template: str) -> None:
    """Refuse a template that cannot name files inside the output folder.

    Args:
        template: path parts separated by ``/``, with fields in braces; see ``FIELDS``.

    Raises:
        UnmixError: the template has an unknown field, unbalanced braces or ``..``, or is an
            absolute path.
    """
    literals = []
    for literal, field in _parse(template):
        literals.append(literal)
        if field is not None and field not in FIELDS:
            raise UnmixError(
                f"template {template!r}: unknown field {{{field}}}; choose from "
                + ", ".join(f"{{{name}}}" for name in FIELDS)
            )
    parts = re.split(r"[/\\]", template)
    if ".." in parts or not parts[0]:
        raise UnmixError(f"template {template!r}: must name a path inside the output folder")
    if not parts[-1]:
        raise UnmixError(f"template {template!r}: ends in a folder, not in a file name")


def template_fields(template: str) -> frozenset[str]:
    """Return the names of the fields that a template uses."""
    return frozenset(field for _, field in _parse(template) if field is not None)


def fill(template: str, values: Mapping[str, str | None]) -> Path:
    """Return a template with its fields filled in, as a relative path.

    Every value becomes safe: path separators and characters that some system forbids turn into
    ``_``, so that an artist called "AC/DC" is one folder; names that are reserved, hidden, too long
    or end in a dot or a space are changed. ``.EXT`` is added if the path does not end in it.

    Args:
        template: one that ``check_template`` accepts.
        values: by field; one that is missing, None or blank falls back to ``FIELDS``.

    Raises:
        UnmixError: a fixed part of the template is too long.
    """
    given = {field: (values.get(field) or "").strip() or FIELDS[field] for field in FIELDS}
    suffix = f".{given['ext']}"
    for limit in _VALUE_BYTES:
        text = "".join(
            literal.replace("\\", "/") + (_value(field, given[field], limit) if field else "")
            for literal, field in _parse(template)
        )
        parts = [safe_part(part) for part in text.split("/") if part]
        if not parts[-1].lower().endswith(suffix.lower()):
            parts[-1] += suffix
        if all(_size(part) <= _PART_BYTES for part in parts):
            return Path(*parts)
    raise UnmixError(f"template {template!r}: makes names longer than {_PART_BYTES} bytes")


def beside(source: Path, mark: str, ext: str, folder: Path | None = None) -> Path:
    """Return ``NAME (MARK).EXT`` in the song's folder or another one.

    The song's name is kept, since its file system accepts it, unless it is too long.

    Args:
        source: the song.
        mark: what kind of file it is, such as "karaoke".
        ext: ending of the name, with or without its dot.
        folder: where the file goes; default: the song's folder.
    """
    end = f" ({mark}).{ext.removeprefix('.')}"
    name = _cut(source.stem, _PART_BYTES - _size(end))
    return (source.parent if folder is None else folder) / f"{name}{end}"


def safe_part(text: str) -> str:
    """Return one path part that Linux, macOS and Windows accept and do not hide."""
    part = _UNSAFE.sub("_", text).lstrip(". ").rstrip(". ")
    if _RESERVED.fullmatch(part):
        part = f"_{part}"
    return part or "_"


def _parse(template: str) -> Iterator[tuple[str, str | None]]:
    """Yield the text before each field and the field's name, which is None at the end."""
    try:
        for literal, field, form, conversion in string.Formatter().parse(template):
            if form or conversion:
                raise UnmixError(
                    f"template {template!r}: write {{{field}}} without a format or conversion"
                )
            yield literal, field
    except ValueError as error:
        raise UnmixError(f"template {template!r}: {error}") from None


def _value(field: str, text: str, limit: int) -> str:
    """Return a value as part of a path part, of at most ``limit`` bytes where it may be cut."""
    text = _UNSAFE.sub("_", text)
    if field in _WHOLE_FIELDS or _size(text) <= limit:
        return text
    return _cut(text, limit).rstrip(". ")


def _cut(text: str, limit: int) -> str:
    """Return the beginning of a text, of at most ``limit`` bytes."""
    text = text[:limit]
    while _size(text) > limit:
        text = text[:-1]
    return text


def _size(text: str) -> int:
    """Return the length in bytes; names that are not valid UTF-8 contain lone surrogates."""
    return len(text.encode("utf-8", "surrogatepass"))
