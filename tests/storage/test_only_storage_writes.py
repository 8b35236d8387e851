"""A scan of the source: files are written through ``unmix.storage`` alone."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "unmix"

#: Calls that write a file, whatever they are called on.
WRITERS = {
    "write_text", "write_bytes", "savefig", "savez", "save_file", "tofile", "mkdtemp", "mkstemp",
    "copyfile", "copyfileobj", "NamedTemporaryFile", "TemporaryDirectory",
}  # fmt: skip
#: Of these modules only, since other things have methods of the same name.
OF_MODULES = {
    "save": {"torch", "np", "numpy", "image"},
    "write": {"soundfile", "sf"},
    "SoundFile": {"soundfile"},
}
#: Modules that write to a path which ``storage`` has given them, or that append.
ALLOWED = {
    "audio/encoders.py": "gets a staged path",
    "audio/checked_file.py": "gets a staged path",
    "audio/video.py": "gets a staged path",
    "audio/whole.py": "opens SoundFile to read",
    "audio/libraries.py": "what librosa compiles, which goes with the process",
    "audio/sources.py": "a copy of a pipe, which goes with the song",
    "cli/_streams.py": "opens nowhere in place of closed streams",
    "audio/decoders.py": "opens SoundFile to read",
    "songs/levelling.py": "spools, in the hidden folder of the outputs",
    "evaluation/signals.py": "spools, in a hidden folder",
    "evaluation/report/spectrograms.py": "writes to memory",
    "weights/archive.py": "unpacks into a hidden folder",
    "weights/http.py": "a download, under a lock, which the next call resumes",
    "weights/load.py": "sorts the header of a staged file",
    "data/packing.py": "a packing, under a lock, which the next call resumes",
    "data/tempo_key_cache.py": "appends lines, each checked when it is read",
    "training/logs.py": "appends rows, each checked when it is read",
}


def _calls(tree: ast.AST, staged: frozenset[str] = frozenset()) -> Iterator[ast.Call]:
    """Yield calls outside of blocks that name a path of ``storage``."""
    for node in ast.iter_child_nodes(tree):
        inside = staged
        if isinstance(node, ast.With):
            inside |= {
                name.id
                for item in node.items
                if isinstance(item.context_expr, ast.Call)
                and _name(item.context_expr.func) in ("written_whole", "staging", "hidden_folder")
                and isinstance(name := item.optional_vars, ast.Name)
            }
        if isinstance(node, ast.Call) and not _about(node, inside):
            yield node
        yield from _calls(node, inside)


def _about(call: ast.Call, names: frozenset[str]) -> bool:
    """Return whether a call is on or with one of these names."""
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(call))


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _writes(call: ast.Call) -> bool:
    name = _name(call.func)
    owner = _name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if name in OF_MODULES:
        return owner in OF_MODULES[name]
    if name == "open":
        words = [*call.args, *(word.value for word in call.keywords)]
        modes = [word.value for word in words if isinstance(word, ast.Constant)]
        return any(
            isinstance(mode, str) and set(mode) <= set("rwxabt+") and set(mode) & set("wxa+")
            for mode in modes
        )
    # The function ``write_text`` of reports writes through storage; the method of paths does not.
    return name in WRITERS and (isinstance(call.func, ast.Attribute) or name != "write_text")


@cache
def _writing() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith("storage/"):
            for call in _calls(ast.parse(path.read_text(encoding="utf-8"))):
                if _writes(call):
                    found.setdefault(place, []).append(f"line {call.lineno}: {ast.unparse(call)}")
    return found


def test_files_are_written_through_storage_alone() -> None:
    found = _writing()
    assert {place: calls for place, calls in found.items() if place not in ALLOWED} == {}


def test_no_exception_is_out_of_date() -> None:
    assert set(ALLOWED) <= set(_writing())


def test_the_scan_sees_what_it_looks_for() -> None:
    wrong = """
path.open("w"); open(path, mode="ab"); path.write_text("x"); np.save(path, x); torch.save(x, path)
figure.savefig(path); soundfile.write(path, x, 1)
"""
    right = """
path.open("rb"); open(path); path.read_text(); encoder.write(x); figure.save(path)
with written_whole(path) as staged:
    staged.write_text("x")
    np.save(staged, x)
"""
    assert sum(map(_writes, _calls(ast.parse(wrong)))) == 7
    assert sum(map(_writes, _calls(ast.parse(right)))) == 0
