"""What is installed: the dependencies, the wheel on its own, and a clone without any install."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile

from unmix.errors import missing_extra

ROOT = Path(__file__).parents[1]
EXCERPT = ROOT / "tests" / "songs" / "joshua-morin_on-the-run_excerpt.ogg"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Modules by requirement, where the names differ or one brings another that is imported too.
MODULES = {
    "google-crc32c": {"google_crc32c"},
    "jinja2": {"jinja2", "markupsafe"},
    "museval": {"museval", "musdb"},
    "pillow": {"PIL"},
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _modules(requirements: Sequence[str]) -> set[str]:
    """Return the modules that requirements such as ``"pillow>=10"`` install."""
    names = [re.split(r"[<>=\[]", requirement)[0] for requirement in requirements]
    return set().union(*(MODULES.get(name, {name}) for name in names))


def _imported(tree: ast.AST) -> set[str]:
    """Return the foreign packages that code imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names - sys.stdlib_module_names


def test_dependencies_are_what_is_imported() -> None:
    """The base imports nothing of an extra, but inside a function that says what to install."""
    base = _modules(PROJECT["dependencies"])
    extras = {name: _modules(held) for name, held in PROJECT["optional-dependencies"].items()}
    rooms = {"training": "train", "evaluation": "evaluate"}
    imported: set[str] = set()
    for path in (ROOT / "unmix").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        room = rooms.get(path.relative_to(ROOT / "unmix").parts[0], "")
        top = ast.Module([node for node in tree.body if not isinstance(node, FUNCTIONS)], [])
        lacking = _imported(top) - base - extras.get(room, set())
        assert not lacking, f"{path} imports {lacking}"
        imported |= _imported(tree)
    user_facing = set().union(*(extras[name] for name in extras if name not in ("all", "test")))
    assert imported <= base | user_facing
    assert base <= imported, "a dependency that nothing imports"


def test_the_extra_all_has_every_extra_of_users_and_errors_name_them() -> None:
    extras = dict(PROJECT["optional-dependencies"])
    (everything,) = extras.pop("all")
    assert extras.pop("test")[0] == "unmix[all]"
    assert everything == f"unmix[{','.join(extras)}]"
    for extra, requirements in extras.items():
        for module in _modules(requirements) - {"markupsafe"}:
            assert missing_extra(f"{module}.part").endswith(f"`pip install 'unmix[{extra}]'`")
    assert missing_extra("numpy") == missing_extra(None) == ""


def _run(command: Sequence[str], folder: Path, site: Path | None = None) -> str:
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    if site:
        environment["PYTHONPATH"] = str(site)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _tracked() -> list[str]:
    return _run(["git", "ls-files", "-co", "--exclude-standard"], ROOT).splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, so that no build folder is left in the tree."""
    folder = tmp_path_factory.mktemp("build")
    for name in _tracked():
        if name.startswith(("unmix/", "pretrained/")) or "/" not in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    options = ["--no-deps", "--no-build-isolation", "-q", "-w", "dist"]
    _run([sys.executable, "-m", "pip", "wheel", *options, "."], folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {name for name in _tracked() if name.startswith("unmix/")}
    weights = {f"unmix/{name}" for name in _tracked() if name.startswith("pretrained/")}
    # What is read on the web alone: the rooms' READMEs, and the pictures of the cards.
    expected = {n for n in package | weights if not n.endswith(("README.md", ".png"))}
    assert held == expected
    assert {"unmix/py.typed", "unmix/pretrained/manifest.toml"} <= held
    assert wheel.stat().st_size <= 80 * 2**20


@pytest.mark.slow
def test_the_wheel_separates_from_another_directory(wheel: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    where = _run([sys.executable, "-c", "import unmix; print(unmix.__file__)"], elsewhere, site)
    assert Path(where.strip()).is_relative_to(site)
    _run([sys.executable, "-m", "unmix", "separate", str(EXCERPT), "-o", "out"], elsewhere, site)
    expected = soundfile.info(EXCERPT)
    for stem in ("vocals", "accompaniment"):
        info = soundfile.info(elsewhere / "out" / EXCERPT.stem / f"{stem}.wav")
        assert (info.frames, info.samplerate) == (expected.frames, expected.samplerate)


@pytest.fixture(params=["nothing", pytest.param("wheel", marks=pytest.mark.slow)])
def clone(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A clone's folder, with nothing of unmix installed or the wheel, whatever is here."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("unmix", "pretrained", "tests"):
        (folder / name).symlink_to(ROOT / name)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import sys\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in f'{f}']\n"
    )
    if request.param == "wheel":
        zipfile.ZipFile(request.getfixturevalue("wheel")).extractall(tmp_path / "site")
    where = "import importlib.util, unmix; print(unmix.__file__)"
    missing = "assert importlib.util.find_spec('unmix.pretrained') is None"
    found = _run([sys.executable, "-c", f"{where}\n{missing}"], folder, tmp_path / "site")
    assert Path(found.strip()).is_relative_to(folder)
    return folder


def test_a_clone_finds_its_weights_without_an_install(clone: Path, tmp_path: Path) -> None:
    """The clone's ``unmix/`` hides an installed one, ``unmix.pretrained`` included."""
    site = tmp_path / "site"
    assert "accompaniment" in _run([sys.executable, "-m", "unmix", "models"], clone, site)
    code = "import unmix; print(unmix.load_model('tfc-tdf-tiny').stems)"
    assert "vocals" in _run([sys.executable, "-c", code], clone, site)


@pytest.mark.slow
def test_the_readmes_python_runs_in_a_clone(clone: Path, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 12
    _run([sys.executable, "-c", code], clone, tmp_path / "site")
    assert (clone / "separated" / EXCERPT.stem / "vocals.flac").is_file()
