"""What a process is writing is its own while it lives, and removed by the next one afterwards."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from unmix.storage import hidden, locks
from unmix.storage.hidden import (
    OWNER,
    hidden_folder,
    hidden_in,
    look,
    remove,
    remove_leftovers,
    size_of,
)

ROOT = Path(__file__).parents[2]
_OWNER = """
import sys, pathlib
from unmix.storage.hidden import hidden_folder
with hidden_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "spool.raw").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@contextmanager
def _process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield another process that is writing in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_living_process_keeps_its_folder_and_a_killed_one_does_not(tmp_path: Path) -> None:
    with _process(tmp_path) as process:
        (folder,) = hidden_in(tmp_path)
        remove_leftovers(tmp_path)
        assert (look(folder).state, look(folder).size) == ("in use", 1000)
        assert remove(folder, unknown=True) == "in use"
        assert folder.is_dir()
        process.kill()
        process.wait()
        assert look(folder).state == "left"
        assert folder.is_dir(), "looking removes nothing"
        with hidden_folder(tmp_path) as mine:
            assert list(tmp_path.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == []


def test_another_thread_keeps_its_folder(tmp_path: Path) -> None:
    with hidden_folder(tmp_path) as first:
        thread = threading.Thread(target=remove_leftovers, args=[tmp_path])
        thread.start()
        thread.join()
        with hidden_folder(tmp_path) as second:
            assert {first, second} == set(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_leaves_the_folder_to_its_parent(tmp_path: Path) -> None:
    block = hidden_folder(tmp_path)
    folder = block.__enter__()
    child = os.fork()
    if not child:
        block.__exit__(None, None, None)
        os._exit(0)
    os.waitpid(child, 0)
    assert look(folder).state == "in use"
    remove_leftovers(tmp_path)
    assert folder.is_dir()
    block.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_taken_from_a_process_that_has_just_begun(tmp_path: Path) -> None:
    """Removing leftovers and making folders at once: whoever is in its block has its folder."""
    ended = threading.Event()
    broken = []

    def sweep() -> None:
        while not ended.is_set():
            remove_leftovers(tmp_path)

    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in sweepers:
        thread.start()
    for _ in range(100):
        with hidden_folder(tmp_path) as folder:
            (folder / "a").touch()
            if not (folder / OWNER).exists():
                broken.append(folder)
    ended.set()
    for thread in sweepers:
        thread.join()
    assert not broken
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def _left(folder: Path, name: str = "") -> Path:
    """Make what a killed process leaves."""
    left = folder / (name or f".unmix-{'-'.join(hidden._machine())}-00000000")
    left.mkdir(parents=True)
    (left / OWNER).touch()
    (left / "spool.raw").write_bytes(bytes(5))
    return left


@pytest.mark.parametrize(
    "name", [".unmix-00000000-00000000-00000000", ".unmix-abc12345", ".unmix-12345678-1-aa.part"]
)
def test_what_no_lock_tells_of_is_kept_unless_asked_for(tmp_path: Path, name: str) -> None:
    """Another machine's folder, and what earlier versions have left."""
    left = _left(tmp_path, name)
    remove_leftovers(tmp_path)
    assert look(left).state == "unknown"
    assert left.exists()
    remove(left, unknown=True)
    assert list(tmp_path.iterdir()) == []


def test_without_locks_everything_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_lock", lambda _: None)
    left = _left(tmp_path)
    with hidden_folder(tmp_path) as folder:
        assert {left, folder} == set(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == [left]


def test_a_folder_without_its_lock_file_is_a_leftover(tmp_path: Path) -> None:
    left = _left(tmp_path)
    (left / OWNER).unlink()
    assert look(left).state == "left"
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_links_are_neither_followed_nor_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    place = tmp_path / "place"
    left = _left(place)
    (place / left.name.replace("00000000", "00000001")).symlink_to(outside)
    (left / "link").symlink_to(outside)
    remove_leftovers(place)
    assert (outside / "precious").exists()
    assert not left.exists()
    trap = _left(place)
    (trap / OWNER).unlink()
    (trap / OWNER).symlink_to(outside / "precious")
    assert look(trap).state == "unknown"


def test_leftovers_are_found_as_deep_as_asked(tmp_path: Path) -> None:
    top, below, deep = (_left(tmp_path / place) for place in ("", "song", "album/song"))
    remove_leftovers(tmp_path, depth=1)
    assert [top.exists(), below.exists(), deep.exists()] == [False, False, True]
    assert size_of(tmp_path) == 5
