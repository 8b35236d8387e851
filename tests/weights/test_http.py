"""Downloads from a local server: whole, resumed and failing."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from serving import CONTENT, HASH, Net

from unmix.errors import ModelError
from unmix.weights.http import fetch


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


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "full")])
def test_an_error_of_the_callback_passes_unchanged(net: Net, target: Path, error: OSError) -> None:
    net.files["file"] = CONTENT

    def report(*_: object) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        fetch(f"{net.url}/file", target, progress=report)
    assert caught.value is error
    fetch(f"{net.url}/file", target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError, "cannot be downloaded"),
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
