"""Inside evaluation, too, imports point one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import unmix.evaluation

ROOT = Path(unmix.evaluation.__file__).parent
#: From the ground up; those on one line do not import each other.
LAYERS = (
    ("measures", "musdb_tracks", "singing"),
    ("datasets",),
    ("signals",),
    ("systems", "report"),
    ("scoring",),
    ("museval_backend", "selection"),
    ("runner",),
    ("api",),
    ("__init__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(ROOT.rglob("*.py"))


def _inside(path: Path) -> Iterator[str]:
    """Yield the modules and rooms of evaluation that a file imports, its own room not."""
    depth = len(path.relative_to(ROOT).parts)  # dots that lead to evaluation
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            yield from [node.module.split(".")[0]] if node.module else [a.name for a in node.names]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    home = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in _inside(path):
        assert RANK[name] < RANK[home], f"{home} imports {name}"


def test_the_rooms_need_only_what_is_measured_and_the_signals() -> None:
    for room in ("systems", "report"):
        for path in (ROOT / room).glob("*.py"):
            assert {*_inside(path)} <= {"measures", "signals"}, path
