"""``unmix clean`` removes what killed runs have left, and nothing that is being written."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unmix.cli import app
from unmix.storage import hidden, hidden_folder
from unmix.storage.locks import try_lock


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNMIX_CACHE", str(tmp_path / "cache"))


def _left(folder: Path, size: int = 2_500_000) -> Path:
    left = folder / f".unmix-{'-'.join(hidden._machine())}-00000000"
    left.mkdir(parents=True)
    (left / hidden.OWNER).touch()
    (left / "spool.raw").write_bytes(bytes(size))
    return left


def test_all_that_killed_runs_have_left_is_listed_then_removed(tmp_path: Path) -> None:
    song = tmp_path / "separated" / "song" / "vocals.wav"
    left = [_left(place) for place in (tmp_path, song.parent, tmp_path / "cache" / "models" / "x")]
    song.write_text("a result")
    part = tmp_path / "cache" / "downloads" / "some-model.download.part"
    part.parent.mkdir()
    part.write_bytes(bytes(10))
    listed = CliRunner().invoke(app, ["clean", "--dry-run", "--json"])
    assert json.loads(listed.stdout)["bytes"] == 3 * 2_500_000 + 10
    assert all(path.exists() for path in (*left, part))
    done = CliRunner().invoke(app, ["clean"])
    assert done.exit_code == 0
    assert done.stdout.count("2.5 MB") == 3
    assert "7.5 MB removed" in done.stderr
    assert not any(path.exists() for path in (*left, part))
    assert song.read_text() == "a result"


def test_what_is_being_written_is_kept(tmp_path: Path) -> None:
    downloads = tmp_path / "cache" / "downloads"
    downloads.mkdir(parents=True)
    (downloads / "x.download.part").touch()
    lock = try_lock(downloads / "x.lock")
    with hidden_folder(tmp_path) as folder:
        done = CliRunner().invoke(app, ["clean", "--unknown"])
        assert done.exit_code == 0
        assert done.stderr.count("kept, as its process is running") == 2
        assert folder.exists()
        assert (downloads / "x.download.part").exists()
    lock.close()


def test_named_folders_are_searched_as_deep_as_asked(tmp_path: Path) -> None:
    left = _left(tmp_path / "album" / "song")
    assert CliRunner().invoke(app, ["clean", "album"]).exit_code == 0
    assert left.exists()
    assert CliRunner().invoke(app, ["clean", "album", "-r"]).exit_code == 0
    assert not left.exists()
    assert isinstance(CliRunner().invoke(app, ["clean", "nowhere"]).exception, Exception)
