"""Settings are validated, frozen, and closed to unknown keys."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from unmix.config import Settings, read_toml, validate
from unmix.errors import ConfigError


class Inner(Settings):
    depth: int = 3


class Outer(Settings):
    width: int
    inner: Inner = Inner()


def test_every_fault_is_named_in_one_sentence() -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Outer, {"width": "wide", "inner": {"dept": 3}, "hight": 1}, "a.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("a.toml: ")
    for part in (
        "width: ",
        "inner.dept: unknown key",
        "hight: unknown key; choose from width, inner",
    ):
        assert part in message


def test_settings_are_frozen() -> None:
    settings = validate(Outer, {"width": 3}, "a.toml")
    with pytest.raises(ValidationError, match="frozen"):
        settings.width = 4  # type: ignore[misc]


def test_files_that_are_not_toml(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("width = = 3")
    for path, message in (
        (tmp_path / "none.toml", "no such"),
        (tmp_path, "is a folder"),
        (broken, "not valid TOML"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            read_toml(path)
        assert str(path) in str(caught.value)
