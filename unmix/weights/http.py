"""A large file from the net: whole and as expected, or else kept in part, to go on from later."""

from __future__ import annotations

import errno
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pooch
import requests

from ..errors import ModelError

#: Called with the bytes that are here, and with the bytes of the file where they are known.
Progress = Callable[[int, int | None], None]

# Of a piece that breaks off nothing is kept.
_BLOCK = 1 << 16
#: Seconds to wait for a connection, and for the next bytes.
_TIMEOUTS = (15, 60)
# A connection that breaks is taken up again at once, as often as this.
_ATTEMPTS = 4


class UnreachedError(ModelError):
    """The net did not give the file; from elsewhere it may be had."""


class _CutError(Exception):
    """The connection ended before the file did."""


def fetch(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Download a file, which appears whole and checked, or not at all.

    What was received of it stays beside the target as ``.part``, through errors and interruptions,
    until a later call has the rest: if the server can send a rest, and still has the same file.

    Args:
        url: of the file.
        target: where to put it; nobody else may be fetching to it. A file that is there already
            and has the sha256 is kept.
        size: bytes that it must have, if known.
        sha256: that it must have, in hexadecimal, if known.
        progress: called after each piece; what it raises ends the download.

    Raises:
        UnreachedError: for what the net does, in one sentence that says what to do.
        ModelError: for what the file or the disk does, likewise.
    """
    transfer = _Transfer(target.with_name(f"{target.name}.part"), size, sha256, progress)
    known = f"sha256:{sha256}" if sha256 else None
    try:
        with _silent_pooch():
            pooch.retrieve(url, known, target.name, target.parent, downloader=transfer)
    except ValueError as error:
        found = re.search(r"does not match the known hash: .* but got (\w+)", str(error))
        if found is None:
            raise
        raise ModelError(
            f"{url}: the file has changed, or was damaged on its way: expected the sha256 {sha256},"
            f" got {found[1]}; it was removed: try again, and if it stays "
            "so, do not use it"
        ) from None
    except OSError as error:
        raise ModelError(_unwritten(target.parent, error)) from None


class _Transfer:
    """Downloads for pooch, which checks the file's hash and puts it in its place."""

    def __init__(
        self, part: Path, size: int | None, sha256: str | None, progress: Progress | None
    ) -> None:
        self._part = part
        self._note = part.with_name(f"{part.name}.json")
        self._size = size
        self._sha256 = sha256
        self._progress = progress

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Put the file at ``url`` into ``output_file``."""
        del pooch
        for attempt in range(_ATTEMPTS):
            try:
                self._receive(url)
                break
            except _CutError:
                if attempt == _ATTEMPTS - 1:
                    raise UnreachedError(
                        f"{url}: the connection broke after {self._held() / 1e6:.1f} MB, which are "
                        "kept: the same command goes on from there"
                    ) from None
            except requests.RequestException as error:
                raise UnreachedError(_unreached(url, error)) from None
        self._part.replace(output_file)
        self._note.unlink(missing_ok=True)

    def _held(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _receive(self, url: str) -> None:
        """Receive what is missing of the file.

        Raises:
            _CutError: some of it still is.
        """
        headers = {"Accept-Encoding": "identity"}
        validator = self._noted(url)
        if validator is None and self._sha256 is None:
            self._forget()  # nothing would tell whether a rest belongs to this part
        held = self._held()
        if held:
            headers["Range"] = f"bytes={held}-"
            headers |= {"If-Range": validator} if validator else {}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUTS) as response:
            if held and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if response.headers.get("Content-Range") == f"bytes */{held}":
                    return
                self._forget()
                raise _CutError
            self._check(url, response)
            start = _start(response)
            if start not in (0, held):
                self._forget()
                raise _CutError
            length = response.headers.get("Content-Length", "")
            plain = response.headers.get("Content-Encoding", "identity") == "identity"
            total = start + int(length) if plain and length.isdecimal() else None
            self._check_size(url, total)
            if not start:
                self._begin(url, response)
            self._write(response, start, total)
        total = total or self._size
        if total and self._held() < total:
            raise _CutError
        self._check_size(url, self._held())

    def _check(self, url: str, response: requests.Response) -> None:
        status = response.status_code
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise ModelError(
                f"{url}: there is no such file any more ({status}); look for it where it was "
                "published, and bring it in with unmix models import"
            )
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise UnreachedError(f"{url}: the server answers {status} {response.reason}; try later")
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise ModelError(
                f"{url}: leads to {response.url}, which is not encrypted; not followed"
            )
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise UnreachedError(
                f"{url}: gives a web page, not a file: look at it in a browser; "
                "your network may ask you to log in"
            )

    def _check_size(self, url: str, total: int | None) -> None:
        if self._size and total and total != self._size:
            self._forget()
            raise ModelError(
                f"{url}: has {total} bytes where {self._size} were expected: the file has changed; "
                "it is not used"
            )

    def _begin(self, url: str, response: requests.Response) -> None:
        """Start a new part, with a note of what its rest must belong to."""
        self._forget()
        self._part.touch()
        tag = response.headers.get("ETag", "")
        # A weak tag does not promise the same bytes.
        validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
        if validator:
            note = {"url": url, "validator": validator}
            self._note.write_text(json.dumps(note), encoding="ascii")

    def _noted(self, url: str) -> str | None:
        try:
            note = json.loads(self._note.read_text(encoding="ascii"))
            return str(note["validator"]) if note["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, response: requests.Response, start: int, total: int | None) -> None:
        done = start
        pieces = response.iter_content(_BLOCK)
        with self._part.open("ab") as file:
            while piece := _next(pieces):
                file.write(piece)
                done += len(piece)
                if self._progress:
                    self._progress(done, total or self._size)


def _next(pieces: Iterator[bytes]) -> bytes:
    """Return the next piece; an empty one at the end.

    Raises:
        _CutError: the connection broke, or fell silent.
    """
    try:
        return next(pieces, b"")
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    ):
        raise _CutError from None


def _start(response: requests.Response) -> int:
    """Return which byte of the file a response begins with; -1 where it does not say."""
    if response.status_code == HTTPStatus.OK:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _unreached(url: str, error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return f"{url}: the server cannot prove who it is; nothing was downloaded"
    if isinstance(error, requests.Timeout):
        return f"{url}: no answer; try later"
    if isinstance(error, requests.ConnectionError):
        return f"{url}: cannot be reached: is there a network? try again when there is"
    return f"{url}: cannot be downloaded ({error}); try later"


def _unwritten(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return (
            f"{folder}: the disk is full; make room and try again, or set UNMIX_CACHE to a folder "
            "on another disk"
        )
    return f"{folder}: cannot be written ({error}); set UNMIX_CACHE to a folder that can"


@contextmanager
def _silent_pooch() -> Iterator[None]:
    """Keep pooch from logging to the terminal."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
