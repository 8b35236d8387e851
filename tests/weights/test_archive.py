"""Archives: only the wanted files are unpacked, and nothing else is touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import CONTENT, packed_tar, packed_zip

from unmix.errors import ModelError
from unmix.weights.archive import RoomError, unpack


@pytest.mark.parametrize("pack", [packed_tar, packed_zip])
@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("model", {"model.index", "model.data-0"}),
        ("other", {"other/a", "other/b/c"}),
        ("other/b", {"other/b/c"}),
        ("README", {"README"}),
    ],
)
def test_only_what_is_wanted_is_taken(
    tmp_path: Path, pack: Callable[..., bytes], wanted: str, taken: set[str]
) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "out"
    names = ["./top/model.index", "top/model.data-0", "top/other/a", "top/other/b/c", "top/README"]
    litter = ["__MACOSX/top/other/a", "top/other/._a", "top/models", "../../evil"]
    archive.write_bytes(pack({name: name.encode() for name in [*litter, *names]}))
    folder.mkdir()
    assert unpack(archive, wanted, folder) == folder / ("" if wanted == "model" else wanted)
    files = {path for path in tmp_path.rglob("*") if path.is_file()} - {archive}
    assert {str(path.relative_to(folder)) for path in files} == taken
    assert all(path.read_bytes().endswith(path.name.encode()) for path in files)


@pytest.mark.parametrize(
    "name", ["../model.index", "top/../../model.index", "/tmp/model.index", "model.a\\..\\b"]
)
@pytest.mark.parametrize("pack", [packed_tar, packed_zip])
def test_paths_that_lead_elsewhere_are_refused(
    tmp_path: Path, pack: Callable[..., bytes], name: str
) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "in" / "out"
    folder.mkdir(parents=True)
    archive.write_bytes(pack({name: b"evil"}))
    with pytest.raises(ModelError, match="leads out of the folder"):
        unpack(archive, "model", folder)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != archive]


def test_links_and_damage_are_refused(tmp_path: Path) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "out"
    archive.write_bytes(packed_tar({"model.index": "/etc/passwd"}))
    with pytest.raises(ModelError, match="leads out of the folder"):
        unpack(archive, "model", folder)
    archive.write_bytes(packed_tar({"model.index": CONTENT})[:-1000])
    with pytest.raises(ModelError, match="the archive is damaged"):
        unpack(archive, "model", folder)
    archive.write_bytes(packed_zip({"readme": b""}))
    with pytest.raises(ModelError, match="expected model in it, found readme"):
        unpack(archive, "model", folder)


@pytest.mark.parametrize("pack", [packed_tar, packed_zip])
def test_an_archive_that_would_fill_the_disk_is_refused(
    tmp_path: Path, pack: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "out"
    folder.mkdir()
    members = {"other": bytes(5000), "model.a": bytes(600), "model.b": bytes(500)}
    archive.write_bytes(pack(members))
    with monkeypatch.context() as patch:
        patch.setattr("unmix.weights.archive._MOST", 1000)
        with pytest.raises(ModelError, match=r"not unpacked: its model has more than .* GB"):
            unpack(archive, "model", folder)
        patch.setattr("unmix.weights.archive._MOST", 1100)
        unpack(archive, "model", folder)
    usage = shutil.disk_usage("/")._replace(free=599)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(RoomError, match="the disk is full"):
        unpack(archive, "model", folder)
