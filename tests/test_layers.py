"""The architecture is a test: imports point down, files stay short, every package ships."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "unmix"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Rooms from the ground up. Modules of one room may import each other where the room is a folder;
#: rooms on one line are strangers.
LAYERS = (
    ("errors", "_version"),
    ("_types", "config", "stems", "storage", "devices"),
    ("audio",),
    ("data",),
    ("frontends", "metrics", "recipes"),
    ("models",),
    ("weights",),
    ("separation",),
    ("songs",),
    ("training", "evaluation"),
    ("cli",),
    ("__init__", "__main__"),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
NETWORKS = ("models", "frontends", "metrics")
FILES = ("audio", "data", "weights", "songs")


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Yield the room of every relative import, lazy ones included."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = [*base, *(node.module or "").split(".")]
            named = [alias.name for alias in node.names] if not node.module else [""]
            for name in named:
                parts = [part for part in [*target, name] if part]
                yield parts[1] if len(parts) > 1 else "__init__", node


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    home = _room(path)
    assert home in RANK, f"{home} has no layer; give it one"
    if home == "__init__":
        return
    for room, node in _imports(path):
        if room == "_version" or (room == home and path.parent != PACKAGE):
            continue
        assert room in RANK, f"{path}:{node.lineno} imports {room}, which has no layer"
        assert RANK[room] < RANK[home], f"{path}:{node.lineno}: {home} imports {room}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_relative_imports_inside(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        assert not any(name.split(".")[0] == "unmix" for name in names), path


def test_networks_never_touch_files() -> None:
    for path in MODULES:
        if _room(path) in NETWORKS:
            rooms = {room for room, _ in _imports(path)}
            assert not rooms & set(FILES), f"{path} imports {rooms & set(FILES)}"


def test_models_are_strangers_to_each_other() -> None:
    for path in (PACKAGE / "models").glob("[!_]*.py"):
        text = path.read_text(encoding="utf-8")
        for other in (PACKAGE / "models").glob("[!_]*.py"):
            assert other == path or f"from .{other.stem} " not in text


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 320
    assert ast.get_docstring(ast.parse(text)), "a module opens by saying what it is"
    assert path.stem not in ("utils", "helpers", "misc", "common")


def test_every_package_ships() -> None:
    """The list in pyproject.toml is written out, and could silently omit a new folder."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {p.parent.relative_to(ROOT) for p in MODULES}
    found = {".".join(folder.parts) for folder in folders} | {"unmix.pretrained"}
    assert set(listed) == found
    for folder in folders:
        assert (ROOT / folder / "__init__.py").is_file()
