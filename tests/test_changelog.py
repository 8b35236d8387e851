"""The version, the changelog and the manifest name the same releases."""

import re
from datetime import date
from pathlib import Path

import unmix
from unmix import list_models

CHANGELOG = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
#: Versions with a section, the newest first, and their dates.
RELEASES = dict(re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\S+)$", CHANGELOG, re.MULTILINE))


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_the_newest_release_is_the_version() -> None:
    assert next(iter(RELEASES)) == unmix.__version__
    assert list(RELEASES) == sorted(RELEASES, key=_parts, reverse=True)
    dates = [date.fromisoformat(day) for day in RELEASES.values()]
    assert dates == sorted(dates, reverse=True)


def test_every_model_came_with_a_release() -> None:
    for entry in list_models():
        assert entry.since in RELEASES, entry.name
        assert _parts(entry.since) <= _parts(unmix.__version__)


def test_sections_are_those_of_keep_a_changelog() -> None:
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE)) <= kinds
    assert set(re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)) == {
        "[Unreleased]",
        *(f"[{version}] - {day}" for version, day in RELEASES.items()),
    }
