"""The architecture is a test: imports point down, files stay short, every package ships."""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "unmix"
LONGEST = 300  # lines

#: Rooms from the ground up. Modules of one room may import each other where the room is a folder;
#: rooms on one line are strangers.
LAYERS = (
    ("errors", "_version", "_types"),
    ("config", "stems", "storage", "devices"),
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
NETWORKS = {"models", "frontends", "metrics"}
FILES = {"audio", "data", "weights", "songs"}


@dataclass(frozen=True)
class Module:
    """A file of the package, parsed once for all laws."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Return ``models.unet``, or ``models`` for the file that makes a folder a package."""
        parts = self.path.relative_to(PACKAGE).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    def imports(self) -> Iterator[str]:
        """Yield the name of every module of the package that it imports, lazy imports included."""
        package = self.path.relative_to(ROOT).with_suffix("").parts[:-1]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package[1 : len(package) - node.level + 1]
                target = [*base, *(node.module or "").split(".")]
                prefix = ".".join(part for part in target if part)
                for alias in node.names:
                    full = f"{prefix}.{alias.name}".strip(".")
                    yield full if full in _names() else prefix or "__init__"


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append(Module(path, text, ast.parse(text)))
    return tuple(found)


@cache
def _names() -> frozenset[str]:
    return frozenset(
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
    )


def test_every_room_has_a_layer() -> None:
    assert {module.room for module in modules()} == set(RANK)


def test_imports_point_down() -> None:
    wrong = []
    for module in modules():
        for name in module.imports():
            room = name.partition(".")[0]
            inside = room == module.room and module.path.parent != PACKAGE
            free = module.room == "__init__" or room == "_version" or inside
            if not free and RANK[room] >= RANK[module.room]:
                wrong.append(f"{module.name} imports {name}")
    assert not wrong


def test_no_module_imports_itself_in_the_end() -> None:
    """No cycle anywhere, lazy imports included."""
    waiting: dict[str, set[str]] = defaultdict(set)
    for module in modules():
        if module.name != "__init__":
            waiting[module.name] |= set(module.imports()) - {module.name}
    while free := {name for name, needs in waiting.items() if not needs & waiting.keys()}:
        for name in free:
            del waiting[name]
    assert not waiting, f"cycles among {sorted(waiting)}"


def test_only_relative_imports_inside() -> None:
    for module in modules():
        for node in ast.walk(module.tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not any(name.split(".")[0] == "unmix" for name in names), module.path


def test_networks_never_touch_files() -> None:
    for module in modules():
        if module.room in NETWORKS:
            rooms = {name.partition(".")[0] for name in module.imports()}
            assert not rooms & FILES, f"{module.name} imports {rooms & FILES}"


def test_models_are_strangers_to_each_other() -> None:
    models = {
        module.name
        for module in modules()
        if module.path.parent == PACKAGE / "models" and not module.path.stem.startswith("_")
    }
    for module in modules():
        if module.name in models:
            assert not models & set(module.imports()), module.name


def test_files_stay_short_and_say_what_they_are() -> None:
    for module in modules():
        lines = module.text.count("\n")
        assert lines <= LONGEST, f"{module.path} has {lines} lines"
        assert ast.get_docstring(module.tree), f"{module.path} does not say what it is"
        assert module.path.stem not in ("utils", "helpers", "misc", "common")


def test_the_front_hall_is_small() -> None:
    loose = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(loose) <= 22


def test_every_package_ships() -> None:
    """The list in pyproject.toml is written out, and could silently omit a new folder."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {module.path.parent.relative_to(ROOT) for module in modules()}
    found = {".".join(folder.parts) for folder in folders} | {"unmix.pretrained"}
    assert set(listed) == found
    for folder in folders:
        assert (ROOT / folder / "__init__.py").is_file()
