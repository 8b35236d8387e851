"""The worked example of CONTRIBUTING.md: two files, nothing else edited, and every law holds."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_an_architecture_is_one_file_and_one_recipe(tmp_path: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shutil.copytree(ROOT / "unmix", tmp_path / "unmix")
    shutil.copytree(ROOT / "pretrained", tmp_path / "unmix" / "pretrained")
    for part in ("conftest.py", "smoke.py", "models", "songs"):
        copy = shutil.copytree if (ROOT / "tests" / part).is_dir() else shutil.copy
        (tmp_path / "tests").mkdir(exist_ok=True)
        copy(ROOT / "tests" / part, tmp_path / "tests" / part)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "unmix/models/linknet.py").write_text(_block(text, "python"), encoding="utf-8")
    (tmp_path / "unmix/recipes/linknet.toml").write_text(_block(text, "toml"), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-m", "", "tests/models/test_registry.py", "-k", "linknet"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 12


def _block(text: str, language: str) -> str:
    """Return the first block of code in a language."""
    return text.split(f"```{language}\n", 1)[1].split("```", 1)[0]
