"""From a TOML file to validated, frozen settings; an unknown key is an error that names it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import ConfigError


class Settings(BaseModel):
    """Base of every group of settings: frozen, typed, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SettingsT = TypeVar("SettingsT", bound=Settings)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file; a missing or malformed one is a ``ConfigError``."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; name a .toml file in it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def validate(kind: type[SettingsT], table: object, where: str) -> SettingsT:
    """Return ``table`` as ``kind``.

    Args:
        kind: the settings to make.
        table: what the file holds.
        where: file, and table within it, for the message.

    Raises:
        ConfigError: with every offending key and what is wrong with it, in one sentence.
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
