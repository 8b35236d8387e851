"""Published models, downloaded from a local server and converted."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from serving import CONTENT, Net, packed_tar

from unmix import load_model
from unmix.errors import ModelError
from unmix.models import build
from unmix.recipes.reading import find_architecture, recipes
from unmix.stems import with_residual
from unmix.training.config import read_recipe
from unmix.weights.archive import check_room
from unmix.weights.cache import downloads_folder, record_sha256, recorded_sha256, weights_path
from unmix.weights.download import download
from unmix.weights.install import import_model
from unmix.weights.manifest import PublishedModel, list_published

pytestmark = pytest.mark.usefixtures("cache")


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
    content = packed_tar(checkpoint)
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
    archive.write_bytes(packed_tar(checkpoint))
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
    net.files["2stems.tar.gz"] = packed_tar(checkpoint)
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
    for content, sentence in (
        (CONTENT, "not an archive"),
        (packed_tar({"model.index": b""}), "index"),
    ):
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
    net.files["2stems.tar.gz"] = packed_tar(checkpoint)
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
    net.files["2stems.tar.gz"] = packed_tar(checkpoint)
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
    net.files["2stems.tar.gz"] = packed_tar(checkpoint)
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
