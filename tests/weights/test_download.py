"""Downloads from a local server: whole, resumed and failing; and the models made of them."""

from __future__ import annotations

import errno
import io
import shutil
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from unmix import load_model
from unmix.errors import ModelError
from unmix.models import build
from unmix.recipes.reading import find_architecture, recipes
from unmix.stems import with_residual
from unmix.training.config import read_recipe
from unmix.weights.archive import RoomError, check_room, unpack
from unmix.weights.cache import downloads_folder, record_sha256, recorded_sha256, weights_path
from unmix.weights.download import download
from unmix.weights.http import fetch
from unmix.weights.install import import_model
from unmix.weights.manifest import PublishedModel, list_published

pytestmark = pytest.mark.usefixtures("cache")

# 48 of the pieces that are written at once: halves of halves of it are whole pieces.
CONTENT = np.random.default_rng(0).bytes(48 << 16)
HASH = sha256(CONTENT).hexdigest()


@dataclass
class Net:
    """Files and behaviour of a server, and the requests it received."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"one"'
    ranges: bool = True
    cuts: int = 0
    """Number of responses that break off halfway."""
    status: int = 200
    kind: str = "application/octet-stream"
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    """Range and If-Range of every request."""


@pytest.fixture
def net() -> Iterator[Net]:
    net = Net()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            condition = self.headers.get("If-Range")
            net.asked.append((wanted, condition))
            content = net.files.get(self.path.lstrip("/"))
            status = net.status if content is not None else 404
            content = content or b""
            start = 0
            if wanted and net.ranges and condition in (None, net.etag):
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                status = 206 if start < len(content) else 416
            self.send_response(status)
            if status == 206:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            if status == 416:
                self.send_header("Content-Range", f"bytes */{len(content)}")
            if net.etag:
                self.send_header("ETag", net.etag)
            body = content[start:]
            self.send_header("Content-Type", net.kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if net.cuts:
                net.cuts -= 1
                body = body[: len(body) // 2]
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        net.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield net
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_a_file_arrives_whole(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    seen: list[tuple[int, int | None]] = []
    fetch(
        f"{net.url}/file",
        target,
        size=len(CONTENT),
        sha256=HASH,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert target.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert list(target.parent.iterdir()) == [target]


def test_a_file_that_exists_is_not_requested(net: Net, target: Path) -> None:
    target.write_bytes(CONTENT)
    fetch(f"{net.url}/file", target, sha256=HASH)
    assert net.asked == []


def test_a_broken_connection_is_resumed_at_once(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    net.cuts = 1
    fetch(f"{net.url}/file", target)
    assert target.read_bytes() == CONTENT
    assert net.asked == [(None, None), (f"bytes={len(CONTENT) // 2}-", '"one"')]


def test_a_download_resumes_where_it_broke_off(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    net.cuts = 4
    with pytest.raises(ModelError, match=r"broke after 2\.9 MB; run .* to resume") as caught:
        fetch(f"{net.url}/file", target)
    assert net.url in str(caught.value)
    assert not target.exists()
    net.asked.clear()
    fetch(f"{net.url}/file", target)
    assert target.read_bytes() == CONTENT
    # Each of four answers broke off halfway.
    assert net.asked == [(f"bytes={len(CONTENT) * 15 // 16}-", '"one"')]


class _Stop(Exception):  # noqa: N818  (as a user's Ctrl-C)
    pass


def _stop_at(share: float) -> Callable[[int, int | None], None]:
    def stop(done: int, total: int | None) -> None:
        if total and done > share * total:
            raise _Stop

    return stop


def _interrupt(net: Net, target: Path, **known: Any) -> int:
    """Fetch half of the file; return the bytes received."""
    with pytest.raises(_Stop):
        fetch(f"{net.url}/file", target, progress=_stop_at(0.5), **known)
    assert not target.exists()
    return target.with_name("file.part").stat().st_size


def test_an_interrupted_download_is_resumed(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    held = _interrupt(net, target)
    assert held > len(CONTENT) // 2
    fetch(f"{net.url}/file", target)
    assert target.read_bytes() == CONTENT
    assert net.asked[1:] == [(f"bytes={held}-", '"one"')]


def test_a_complete_part_is_not_downloaded_again(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    _interrupt(net, target)
    target.with_name("file.part").write_bytes(CONTENT)
    fetch(f"{net.url}/file", target, sha256=HASH)
    assert target.read_bytes() == CONTENT
    assert len(net.asked) == 2


def test_a_part_longer_than_the_file_is_discarded(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    _interrupt(net, target)
    target.with_name("file.part").write_bytes(CONTENT + b"more")
    fetch(f"{net.url}/file", target, sha256=HASH)
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    _interrupt(net, target)
    net.ranges = False
    fetch(f"{net.url}/file", target, sha256=HASH)
    assert target.read_bytes() == CONTENT
    assert net.asked[1][0] is not None


def test_a_file_that_changed_meanwhile_starts_again(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    _interrupt(net, target)
    net.files["file"], net.etag = CONTENT[::-1], '"two"'
    fetch(f"{net.url}/file", target)
    assert target.read_bytes() == CONTENT[::-1]
    assert net.asked[1][1] == '"one"'


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_part_of_an_unknown_version_is_not_resumed(
    net: Net, target: Path, etag: str | None
) -> None:
    net.files["file"], net.etag = CONTENT, etag
    _interrupt(net, target)
    fetch(f"{net.url}/file", target)
    assert target.read_bytes() == CONTENT
    assert net.asked[1] == (None, None)


def test_a_known_hash_allows_resuming_without_a_version(net: Net, target: Path) -> None:
    net.files["file"], net.etag = CONTENT, None
    held = _interrupt(net, target, sha256=HASH)
    fetch(f"{net.url}/file", target, sha256=HASH)
    assert target.read_bytes() == CONTENT
    assert net.asked[1] == (f"bytes={held}-", None)


def test_the_part_of_another_url_is_not_resumed(net: Net, target: Path) -> None:
    net.files["file"], net.files["other"] = CONTENT, CONTENT[::-1]
    _interrupt(net, target)
    fetch(f"{net.url}/other", target)
    assert target.read_bytes() == CONTENT[::-1]


def test_a_wrong_hash_is_refused_and_nothing_is_left(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    with pytest.raises(ModelError, match=f"expected sha256 {'0' * 64}, got {HASH}"):
        fetch(f"{net.url}/file", target, sha256="0" * 64)
    assert list(target.parent.iterdir()) == []


def test_a_wrong_size_is_refused_before_it_is_downloaded(net: Net, target: Path) -> None:
    net.files["file"] = CONTENT
    seen: list[int] = []
    with pytest.raises(ModelError, match="expected 99 bytes, got 3145728"):
        fetch(f"{net.url}/file", target, size=99, progress=lambda done, _: seen.append(done))
    assert seen == []
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"files": {}}, r"no longer there \(404\).*unmix models import"),
        ({"status": 503}, "the server answered 503 .*; try again later"),
        ({"kind": "text/html; charset=utf-8"}, "a web page instead of a file"),
    ],
)
def test_refusals_are_one_sentence(
    net: Net, target: Path, change: dict[str, Any], sentence: str
) -> None:
    net.files["file"] = CONTENT
    for name, value in change.items():
        setattr(net, name, value)
    with pytest.raises(ModelError, match=sentence) as caught:
        fetch(f"{net.url}/file", target)
    assert "\n" not in str(caught.value)
    assert list(target.parent.iterdir()) == []


def test_a_missing_network_is_reported(target: Path) -> None:
    with pytest.raises(ModelError, match="cannot be reached; check your network"):
        fetch("http://127.0.0.1:9/file", target)


def test_a_full_disk_is_reported_and_the_part_kept(
    net: Net, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.files["file"] = CONTENT
    held = _interrupt(net, target)
    real = Path.open

    def full(path: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if path.suffix == ".part":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, *arguments, **named)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ModelError, match=r"the disk is full; free some space.*UNMIX_CACHE"):
        fetch(f"{net.url}/file", target)
    assert target.with_name("file.part").stat().st_size == held


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (requests.exceptions.SSLError, "certificate cannot be verified"),
        (requests.exceptions.ConnectTimeout, "does not answer; try again later"),
        (requests.exceptions.TooManyRedirects, "cannot be downloaded"),
    ],
)
def test_other_network_failures_are_reported(
    target: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], sentence: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(requests, "get", fail)
    with pytest.raises(ModelError, match=sentence):
        fetch("https://example.org/file", target)


def test_a_redirect_to_plain_http_is_refused(
    net: Net, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.files["file"] = CONTENT
    real = requests.get
    monkeypatch.setattr(requests, "get", lambda _, **named: real(f"{net.url}/file", **named))
    with pytest.raises(ModelError, match=r"refused a redirect to http:.* not encrypted"):
        fetch("https://example.org/file", target)
    assert list(target.parent.iterdir()) == []


# From here on: the model, not the file.


def _entry(net: Net, **changes: Any) -> PublishedModel:
    entry = next(entry for entry in list_published() if entry.name == "spleeter-2stems")
    known = {"url": f"{net.url}/2stems.tar.gz", "size": None, "sha256": None}
    return entry.model_copy(update=known | changes)


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the published models."""

    def put(*entries: PublishedModel) -> None:
        for module in ("manifest", "download"):
            monkeypatch.setattr(f"unmix.weights.{module}.list_published", lambda: list(entries))

    return put


Publish = Callable[..., None]


def _tar(members: dict[str, bytes | str]) -> bytes:
    """Return a tar.gz archive; a member that is a string is the target of a link."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def checkpoint(shared: Path) -> dict[str, bytes | str]:
    """The files of a small checkpoint of Spleeter, by their names in its archive."""
    folder = shared / "parity_tf" / "spleeter_2stems_reduced_released"
    if "spleeter" not in {find_architecture(name).architecture for name in recipes()}:
        pytest.skip("there is no Spleeter")
    return {f"./{path.name}": path.read_bytes() for path in folder.iterdir()}


def test_a_model_is_downloaded_converted_and_loaded(
    net: Net, publish: Publish, checkpoint: dict[str, bytes | str], cache: Path
) -> None:
    content = _tar(checkpoint)
    net.files["2stems.tar.gz"] = content
    net.cuts = 1
    publish(_entry(net, sha256=sha256(content).hexdigest()))
    path = download("spleeter-2stems")
    assert path == cache / "models" / "spleeter-2stems" / "weights.safetensors"
    assert recorded_sha256(path) == sha256(path.read_bytes()).hexdigest()
    assert {p.name for p in path.parent.iterdir()} == {path.name, "weights.sha256"}
    assert not list(downloads_folder().iterdir())
    model = load_model("spleeter-2stems")
    assert model.stems == ("vocals", "accompaniment")
    # What is there is not downloaded again; what is damaged is.
    asked = len(net.asked)
    assert download("spleeter-2stems") == path
    assert len(net.asked) == asked
    record_sha256(path, "0" * 64)
    with pytest.raises(ModelError, match="download or import it again"):
        load_model("spleeter-2stems")
    download("spleeter-2stems")
    assert len(net.asked) == asked + 1
    load_model("spleeter-2stems")


def test_a_downloaded_archive_can_be_imported_by_hand(
    net: Net, publish: Publish, checkpoint: dict[str, bytes | str], tmp_path: Path
) -> None:
    archive = tmp_path / "2stems.tar.gz"
    archive.write_bytes(_tar(checkpoint))
    publish(_entry(net, sha256=sha256(archive.read_bytes()).hexdigest()))
    done = import_model(archive, "spleeter-2stems")
    assert done.path == weights_path("spleeter-2stems")
    assert load_model("spleeter-2stems").stems == done.stems
    with pytest.raises(ModelError, match="exists already; --overwrite replaces it"):
        import_model(archive, "spleeter-2stems")
    again = import_model(archive, "spleeter-2stems", licence="mine", overwrite=True)
    assert recorded_sha256(again.path) == again.sha256 != done.sha256


def test_two_downloads_at_once_do_not_interfere(
    net: Net, publish: Publish, checkpoint: dict[str, bytes | str]
) -> None:
    net.files["2stems.tar.gz"] = _tar(checkpoint)
    publish(_entry(net))
    threads = [threading.Thread(target=download, args=("spleeter-2stems",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(net.asked) == 1
    load_model("spleeter-2stems")


def test_a_download_that_is_not_the_model_is_removed(
    net: Net, publish: Publish, cache: Path
) -> None:
    publish(_entry(net))
    for content, sentence in ((CONTENT, "not an archive"), (_tar({"model.index": b""}), "index")):
        net.files["2stems.tar.gz"] = content
        with pytest.raises(
            ModelError, match=f"is not spleeter-2stems, and was removed: .*{sentence}"
        ):
            download("spleeter-2stems")
    assert not (cache / "models" / "spleeter-2stems").exists()
    assert not list(downloads_folder().iterdir())


def test_without_a_network_the_error_names_another_way(publish: Publish) -> None:
    url = "http://127.0.0.1:9/2stems.tar.gz"
    publish(_entry(Net(), url=url))
    with pytest.raises(ModelError, match="cannot be reached; check your network") as caught:
        download("spleeter-2stems")
    said = f"or download {url} elsewhere, then run `unmix models import FILE --as spleeter-2stems`"
    assert str(caught.value).endswith(said)
    assert "\n" not in str(caught.value)


def test_models_from_one_file_share_its_download(
    net: Net, publish: Publish, checkpoint: dict[str, bytes | str]
) -> None:
    net.files["2stems.tar.gz"] = _tar(checkpoint)
    names = ["one", "two", "three"]
    publish(*(_entry(net, name=name) for name in names))
    for number, name in enumerate(names, 1):
        download(name, then=names[number:])
        load_model(name)
    assert len(net.asked) == 1
    assert not list(downloads_folder().iterdir())


def test_a_disk_that_is_full_when_unpacking_keeps_the_download(
    net: Net,
    publish: Publish,
    checkpoint: dict[str, bytes | str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net.files["2stems.tar.gz"] = _tar(checkpoint)
    publish(_entry(net))
    packed = len(net.files["2stems.tar.gz"])
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage("/")._replace(free=3 * packed)
        patch.setattr("shutil.disk_usage", lambda _: usage)
        patch.setattr(
            "unmix.weights.archive.check_room", lambda folder, size: check_room(folder, 9e99)
        )
        with pytest.raises(ModelError, match="the disk is full"):
            download("spleeter-2stems")
    load_model(download("spleeter-2stems"))
    assert len(net.asked) == 1


def test_an_interrupted_conversion_keeps_the_download(
    net: Net,
    publish: Publish,
    checkpoint: dict[str, bytes | str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net.files["2stems.tar.gz"] = _tar(checkpoint)
    publish(_entry(net))

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unmix.weights.download.put_in_cache", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download("spleeter-2stems")
    load_model(download("spleeter-2stems"))
    assert len(net.asked) == 1


def test_a_missing_package_is_reported_before_the_download(
    net: Net, publish: Publish, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish(_entry(net))
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    sentence = r"spleeter-2stems: google_crc32c is not installed: run `pip install 'unmix\["
    with pytest.raises(ModelError, match=sentence):
        download("spleeter-2stems")
    assert net.asked == []
    with pytest.raises(ModelError, match=sentence):
        import_model(tmp_path, "spleeter-2stems")


def test_models_by_hand_say_what_to_do(net: Net, publish: Publish) -> None:
    publish(_entry(net, by_hand="get it from a shop, then run `unmix models import FILE`"))
    with pytest.raises(ModelError, match="by hand: get it from a shop, then run") as caught:
        download("spleeter-2stems")
    assert "\n" not in str(caught.value)
    assert net.asked == []
    assert not downloads_folder().exists()


def test_unknown_names_list_the_choices(net: Net, publish: Publish) -> None:
    publish(_entry(net))
    with pytest.raises(ModelError, match="unknown model 'nope'; choose from spleeter-2stems"):
        download("nope")
    with pytest.raises(ModelError, match="unet is on this machine already"):
        download("unet")


def test_too_small_a_disk_is_reported_before_the_download(
    net: Net, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(_entry(net, size=10**9))
    usage = shutil.disk_usage("/")._replace(free=10**9)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match="2500 MB are needed, 1000 MB are free"):
        download("spleeter-2stems")
    assert net.asked == []


def test_a_cache_that_cannot_be_written_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("UNMIX_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ModelError, match=r"cannot be written .*set UNMIX_CACHE"):
        download("spleeter-2stems")


# Archives.


def _zip(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize("pack", [_tar, _zip])
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
@pytest.mark.parametrize("pack", [_tar, _zip])
def test_paths_that_lead_elsewhere_are_refused(
    tmp_path: Path, pack: Callable[..., bytes], name: str
) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "in" / "out"
    folder.mkdir(parents=True)
    archive.write_bytes(pack({name: b"evil"}))
    with pytest.raises(ModelError, match="leads elsewhere"):
        unpack(archive, "model", folder)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != archive]


def test_links_and_damage_are_refused(tmp_path: Path) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "out"
    archive.write_bytes(_tar({"model.index": "/etc/passwd"}))
    with pytest.raises(ModelError, match="leads elsewhere"):
        unpack(archive, "model", folder)
    archive.write_bytes(_tar({"model.index": CONTENT})[:-1000])
    with pytest.raises(ModelError, match="a damaged archive"):
        unpack(archive, "model", folder)
    archive.write_bytes(_zip({"readme": b""}))
    with pytest.raises(ModelError, match="expected model in it, found readme"):
        unpack(archive, "model", folder)


@pytest.mark.parametrize("pack", [_tar, _zip])
def test_an_archive_that_would_fill_the_disk_is_refused(
    tmp_path: Path, pack: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "out"
    folder.mkdir()
    members = {"other": bytes(5000), "model.a": bytes(600), "model.b": bytes(500)}
    archive.write_bytes(pack(members))
    with monkeypatch.context() as patch:
        patch.setattr("unmix.weights.archive._MOST", 1000)
        with pytest.raises(ModelError, match=r"not unpacked: model in it has more than .* GB"):
            unpack(archive, "model", folder)
        patch.setattr("unmix.weights.archive._MOST", 1100)
        unpack(archive, "model", folder)
    usage = shutil.disk_usage("/")._replace(free=599)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(RoomError, match="the disk is full"):
        unpack(archive, "model", folder)


# What is published.


@pytest.mark.parametrize("entry", list_published(), ids=lambda entry: entry.name)
def test_every_published_model_fits_its_recipe(entry: PublishedModel) -> None:
    recipe = read_recipe(recipes()[entry.recipe])
    model = build(recipe.architecture, recipe.model | recipe.smoke | entry.settings)
    assert with_residual(model.stems) == entry.stems
    assert model.sample_rate == entry.sample_rate
    assert model.audio_channels == entry.audio_channels
    assert entry.licence
    assert all(score.source for score in entry.scores)
    # A name that is a recipe's, too, must mean the same.
    assert entry.name not in recipes() or entry.name == entry.recipe


def test_published_names_are_distinct_and_can_be_folders() -> None:
    names = [entry.name for entry in list_published()]
    assert len(names) == len(set(names)) >= 16
    for name in names:
        weights_path(name)
