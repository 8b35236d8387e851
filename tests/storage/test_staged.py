"""Files appear together or not at all."""

import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from unmix.errors import AudioError, UnmixError
from unmix.storage import (
    check_existing,
    outputs_to_write,
    put_in_place,
    sha256_of,
    staging,
    written_whole,
)

Tree = Callable[[Path], dict[str, bytes | None]]
ROOT = Path(__file__).parents[2]


def _stage(folder: Path, *names: str) -> list[tuple[Path, Path]]:
    hidden = folder / ".hidden"
    hidden.mkdir()
    moves = []
    for name in names:
        (hidden / name).write_text(f"new {name}")
        moves.append((hidden / name, folder / name))
    return moves


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_move_that_fails_takes_the_others_back(
    tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    (tmp_path / "a").write_text("old a")
    (tmp_path / "c").write_text("old c")
    before = tree(tmp_path)
    moves = _stage(tmp_path, "a", "b", "c")
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self == moves[broken][0]:
            raise PermissionError("a player has it open")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(AudioError, match=rf"{moves[broken][1].name}: cannot be written: a player"):
        put_in_place(moves, existing="overwrite")
    after = {name: data for name, data in tree(tmp_path).items() if ".hidden" not in name}
    assert after == before


def test_what_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    moves = _stage(tmp_path, "a", "b")
    (tmp_path / "b").write_text("somebody else's")
    with pytest.raises(UnmixError, match="exists already"):
        put_in_place(moves)
    assert (tmp_path / "b").read_text() == "somebody else's"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("error", [ZeroDivisionError(), BrokenPipeError(32, "Broken pipe")])
def test_staging_leaves_no_trace_of_a_failure(tmp_path: Path, tree: Tree, error: Exception) -> None:
    (tmp_path / "there").mkdir()
    before = tree(tmp_path)
    outputs = {"a": tmp_path / "there" / "a.wav", "b": tmp_path / "new" / "er" / "b.wav"}

    def fail() -> None:
        with staging(outputs) as staged:
            for path in staged.values():
                path.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert tree(tmp_path) == before


def test_staging_keeps_folders_that_somebody_else_uses(tmp_path: Path) -> None:
    def fail() -> None:
        with staging({"a": tmp_path / "new" / "a.wav"}):
            (tmp_path / "new" / "guest.txt").write_text("hello")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["guest.txt"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(AudioError, match="cannot be written"),
        staging({"a": tmp_path / "file" / "a.wav"}),
    ):
        pass


@pytest.mark.parametrize("fsync", [False, True])
@pytest.mark.parametrize("name", ["a.txt", "x" * 255, "日本 %d.wav"])
def test_one_file_is_written_whole(tmp_path: Path, tree: Tree, name: str, fsync: bool) -> None:
    path = tmp_path / "new" / "er" / name
    for content in ("first", "second"):
        before = tree(tmp_path)
        with written_whole(path, fsync=fsync) as staged:
            staged.write_text(content)
            assert staged.parent.parent == path.parent
            assert staged.parent.name.startswith(".unmix-")
            assert path.exists() == bool(before)
        assert path.read_text() == content
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), OSError(28, "full")])
def test_one_file_that_fails_leaves_no_trace(
    tmp_path: Path, tree: Tree, error: BaseException, there: bool
) -> None:
    path = tmp_path / "new" / "a.txt"
    if there:
        path.parent.mkdir()
        path.write_text("old")
    before = tree(tmp_path)

    def fail() -> None:
        with written_whole(path) as staged:
            staged.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert tree(tmp_path) == before


def _write_elsewhere(path: Path, ending: str = "") -> None:
    """Let another process write "theirs" to a file."""
    code = f"""
import os, pathlib, sys
from unmix.storage import written_whole
with written_whole(pathlib.Path(sys.argv[1])) as staged:
    staged.write_text("theirs")
    {ending}
"""
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=True)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    _write_elsewhere(path, "os._exit(0)")
    (left,) = tmp_path.iterdir()
    assert left.name != path.name
    with written_whole(path) as staged:
        staged.write_text("b")
        assert list(tmp_path.iterdir()) == [staged.parent]
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "b"


def test_of_two_writers_the_last_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with written_whole(path) as mine:
        mine.write_text("mine")
        _write_elsewhere(path)
        assert path.read_text() == "theirs"
        with written_whole(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_one_file_is_not_replaced_unless_it_may(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("mine")
    with pytest.raises(FileExistsError), written_whole(path, overwrite=False) as staged:
        staged.write_text("new")
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert sha256_of(tmp_path / "empty") == sha256(b"").hexdigest()
    (tmp_path / "long").write_bytes(b"ab" * (1 << 20))
    assert sha256_of(tmp_path / "long") == sha256(b"ab" * (1 << 20)).hexdigest()


def test_outputs_are_checked_before_any_work(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    song.write_text("song")
    there, missing = tmp_path / "there.wav", tmp_path / "missing.wav"
    there.write_text("there")
    both = {"vocals": there, "accompaniment": missing}
    with pytest.raises(UnmixError, match="--overwrite"):
        outputs_to_write(song, both, "error")
    assert outputs_to_write(song, both, "overwrite") == both
    assert outputs_to_write(song, both, "skip") == {"accompaniment": missing}
    with pytest.raises(UnmixError, match="would be one file"):
        outputs_to_write(song, {"a": tmp_path / "X.wav", "b": tmp_path / "x.wav"}, "overwrite")
    with pytest.raises(UnmixError, match="is a folder"):
        outputs_to_write(song, {"a": tmp_path}, "overwrite")
    with pytest.raises(AudioError, match="File name too long"):
        outputs_to_write(song, {"a": tmp_path / ("x" * 300)}, "overwrite")
    with pytest.raises(UnmixError, match="choose from error, overwrite, skip"):
        check_existing("maybe")


def test_the_song_itself_is_never_replaced_under_any_of_its_names(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    song.write_text("song")
    link = tmp_path / "link.wav"
    link.symlink_to(song)
    hard = tmp_path / "hard.wav"
    hard.hardlink_to(song)
    for name in (song, link, hard, tmp_path / "x" / ".." / "song.wav"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(UnmixError, match="song itself"):
            outputs_to_write(song, {"vocals": name}, "overwrite")
