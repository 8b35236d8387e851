"""TOML files as validated, frozen settings; unknown keys are errors."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import ConfigError

# Bytes; far more than any recipe or manifest has.
_LARGEST = 1 << 20


class Settings(BaseModel):
    """Base of all groups of settings: frozen, typed, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SettingsT = TypeVar("SettingsT", bound=Settings)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        ConfigError: the file is missing, malformed, or larger than any recipe.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ConfigError(f"{path}: has more than {_LARGEST} bytes; give a .toml file")
        return tomllib.loads(content.decode().replace("\r\n", "\n"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; give a .toml file in it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: its values are nested too deeply") from None
    # Also the plain ValueError of an integer with thousands of digits.
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def validate(kind: type[SettingsT], table: object, where: str) -> SettingsT:
    """Return ``table`` as ``kind``.

    Args:
        kind: the type of the settings.
        table: content of the file or of a part of it.
        where: name of the file and the table, for the message.

    Raises:
        ConfigError: a key or value is invalid; the message names each one.
    """
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'settings'}: {_reason(fault, kind)}"
            for fault in error.errors()
        )
        raise ConfigError(f"{where}: {faults}") from None


def _reason(fault: Any, kind: type[Settings]) -> str:
    if fault["type"] == "extra_forbidden":
        if len(fault["loc"]) == 1:
            return f"unknown key; choose from {', '.join(kind.model_fields)}"
        return "unknown key"
    return str(fault["msg"]).removeprefix("Value error, ")
