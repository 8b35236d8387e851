"""The README is true: its code runs, its options exist, its tables are what was measured."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unmix.cli import app
from unmix.recipes.reading import recipes

ROOT = Path(__file__).parents[1]
#: Verbs that have verbs of their own.
GROUPS = ("models", "data")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def _commands() -> list[str]:
    lines = [line.split("  #")[0].strip() for block in _blocks("sh") for line in block.splitlines()]
    return [
        command for line in lines for command in line.split(" && ") if " unmix " in f" {command}"
    ]


@pytest.mark.slow
def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (code,) = _blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "separated" / "joshua-morin_on-the-run_excerpt" / "vocals.flac").is_file()


@pytest.mark.parametrize("command", [c for c in _commands() if "pip install" not in c])
def test_every_option_exists(command: str) -> None:
    words = shlex.split(command)
    words = words[[Path(word).name for word in words].index("unmix") + 1 :]
    verbs = words[: 2 if words[0] in GROUPS and words[1:] and words[1][0] != "-" else 1]
    shown = CliRunner().invoke(app, [*verbs, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"{word}\b", shown.output), f"{' '.join(verbs)} has no {word}"


def test_files_and_folders_it_names_exist() -> None:
    names = re.findall(r"(?:unmix|tests|tools|pretrained)/[\w./-]+\.(?:py|toml|png|ogg)", README)
    assert len(names) > 5
    for name in names:
        assert (ROOT / name).is_file(), name


def test_the_models_table_is_the_manifests() -> None:
    release = runpy.run_path(str(ROOT / "tools" / "release.py"))
    rows = release["models_rows"]()
    assert release["TABLE"].markdown(rows) in README
    assert rows


def test_the_family_table_has_every_recipe() -> None:
    family = runpy.run_path(str(ROOT / "tools" / "family.py"))
    rows = family["TABLE"].rows
    assert set(rows) == set(filter(family["of_the_family"], recipes()))
    for name, cells in rows.items():
        assert cells[1] == family["form"](recipes()[name])
        assert float(cells[family["COLUMNS"]["cpu"]]) > 0


def test_continuous_integration_runs_its_command() -> None:
    (line,) = re.findall(r"^python3 -m venv .* pytest$", README, re.MULTILINE)
    assert "pip install -e '.[test]'" in line
    assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
