"""A staged file gets its name in one step, and never over what has appeared meanwhile."""

import os
from concurrent.futures import ThreadPoolExecutor
from errno import EPERM
from pathlib import Path
from threading import Barrier

import pytest

from unmix.errors import UnmixError
from unmix.storage import publish
from unmix.storage.publish import publish_new, put_in_place

WAYS = publish._ways()


@pytest.fixture(params=WAYS, ids=[way.__name__ for way in WAYS])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only one way be there, as on a file system that lacks the others."""
    monkeypatch.setattr(publish, "_ways", lambda: (request.param,))


@pytest.mark.usefixtures("way")
def test_a_new_file_gets_its_name_and_an_old_one_keeps_it(tmp_path: Path) -> None:
    staged, final = tmp_path / "staged", tmp_path / "final"
    staged.write_text("first")
    assert publish_new(staged, final)
    assert final.read_text() == "first"
    staged.unlink(missing_ok=True)
    staged.write_text("second")
    assert not publish_new(staged, final)
    assert final.read_text() == "first"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("there", [False, True])
def test_a_link_in_the_place_is_not_followed(tmp_path: Path, there: bool) -> None:
    staged, final, outside = tmp_path / "staged", tmp_path / "final", tmp_path / "outside"
    staged.write_text("new")
    if there:
        outside.write_text("somebody's")
    final.symlink_to(outside)
    assert not publish_new(staged, final)
    assert final.is_symlink()
    assert outside.exists() == there


@pytest.mark.usefixtures("way")
def test_of_many_at_once_exactly_one_wins_and_its_file_is_whole(tmp_path: Path) -> None:
    threads = 8
    barrier = Barrier(threads)

    def race(number: int) -> bool:
        staged = tmp_path / f"staged-{number}"
        staged.write_text(f"{number}" * 1000)
        barrier.wait()
        return publish_new(staged, tmp_path / "final")

    with ThreadPoolExecutor(threads) as pool:
        won = list(pool.map(race, range(threads)))
    assert sum(won) == 1
    assert (tmp_path / "final").read_text() == f"{won.index(True)}" * 1000


def test_where_links_are_lacking_another_way_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _no_link)
    staged, final = tmp_path / "staged", tmp_path / "final"
    staged.write_text("new")
    assert publish_new(staged, final)
    assert final.read_text() == "new"


def _staged(folder: Path, *names: str) -> list[tuple[Path, Path]]:
    (folder / "hidden").mkdir()
    for name in names:
        (folder / "hidden" / name).write_text(f"new {name}")
    return [(folder / "hidden" / name, folder / name) for name in names]


def test_what_has_appeared_is_kept_replaced_or_an_error(tmp_path: Path) -> None:
    moves = _staged(tmp_path, "a", "b", "c")
    (tmp_path / "b").write_text("other")
    with pytest.raises(UnmixError, match=r"b: exists already"):
        put_in_place(moves, existing="error")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "hidden"]
    assert put_in_place(moves, existing="skip") == (tmp_path / "b",)
    assert [(tmp_path / name).read_text() for name in "abc"] == ["new a", "other", "new c"]
    moves[0][0].unlink(missing_ok=True)
    moves[0][0].write_text("newer a")
    assert put_in_place(moves[:2], existing="overwrite") == ()
    assert [(tmp_path / name).read_text() for name in "ab"] == ["newer a", "new b"]


@pytest.mark.parametrize("links", [False, True])
def test_replaced_files_come_back_with_and_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    moves = _staged(tmp_path, "a", "b")
    (tmp_path / "a").write_text("old a")
    (tmp_path / "b").write_text("old b")
    if not links:
        monkeypatch.setattr(os, "link", _no_link)
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self == moves[1][0]:
            raise PermissionError("a player has it open")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UnmixError, match="b: cannot be written: a player"):
        put_in_place(moves, existing="overwrite")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["old a", "old b"]


def _no_link(*_: object, **__: object) -> None:
    raise PermissionError(EPERM, os.strerror(EPERM))
