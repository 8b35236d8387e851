"""Download of large files: resumed where they broke off, and checked before use."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import requests

from ..errors import ModelError
from ..storage import sha256_of

#: Called with the bytes received so far and the bytes of the file, None if unknown.
ByteProgress = Callable[[int, int | None], None]

# A block that breaks off is lost.
_BLOCK = 1 << 16
#: Seconds to wait for a connection, and for the next bytes.
_TIMEOUTS = (15, 60)
_ATTEMPTS = 4


class UnreachedError(ModelError):
    """The network did not deliver the file; it may be available elsewhere."""


class _CutError(Exception):
    """The connection ended before the file did."""


def fetch(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: ByteProgress | None = None,
) -> None:
    """Download a file, which appears whole and checked, or not at all.

    Received bytes stay beside the target as ``.part``, through errors and interruptions. A later
    call resumes if the server supports ranges and still has the same file.

    Args:
        url: URL of the file.
        target: where to put it; no other process may be writing there. An existing file is kept,
            unless its sha256 is known and differs.
        size: expected bytes, if known.
        sha256: expected hash in hexadecimal, if known.
        progress: called after each block; what it raises ends the download.

    Raises:
        UnreachedError: the network or the server failed.
        ModelError: the file is not the expected one, or cannot be written.
    """
    with _writing(target.parent):
        if target.is_file() and (not sha256 or sha256_of(target) == sha256):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
    _Download(url, target, size, sha256, progress).run()


@dataclass(frozen=True)
class _Download:
    """One file on its way: the part that is here, and a note of which version it belongs to."""

    url: str
    target: Path
    size: int | None
    sha256: str | None
    progress: ByteProgress | None

    @property
    def part(self) -> Path:
        """What was received."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        """File that identifies the version of the file that the part belongs to."""
        return self.target.with_name(f"{self.target.name}.part.json")

    def run(self) -> None:
        """Receive the file, check it, and give it its name."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._receive()
                break
            except _CutError:
                if attempt == _ATTEMPTS:
                    raise UnreachedError(
                        f"{self.url}: the connection broke after {self._held() / 1e6:.1f} MB; "
                        "run the same command again to resume"
                    ) from None
            except requests.RequestException as error:
                raise UnreachedError(_unreached(self.url, error)) from None
        with _writing(self.target.parent):
            if self.sha256 and (found := sha256_of(self.part)) != self.sha256:
                self._forget()
                raise ModelError(
                    f"{self.url}: expected sha256 {self.sha256}, got {found}: the download is "
                    "damaged or the file has changed, and was removed; try again, and do not use "
                    "the file if the hash stays wrong"
                )
            self.part.replace(self.target)
            self.note.unlink(missing_ok=True)

    def _held(self) -> int:
        with _writing(self.target.parent):
            return self.part.stat().st_size if self.part.exists() else 0

    def _forget(self) -> None:
        with _writing(self.target.parent):
            self.part.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)

    def _receive(self) -> None:
        """Receive what is missing of the file.

        Raises:
            _CutError: some of it still is.
        """
        headers = {"Accept-Encoding": "identity"}
        validator = self._noted()
        if validator is None and self.sha256 is None:
            self._forget()  # nothing would tell whether the rest belongs to this part
        held = self._held()
        if held:
            headers["Range"] = f"bytes={held}-"
            headers |= {"If-Range": validator} if validator else {}
        with self._asked(headers) as response:
            if held and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if response.headers.get("Content-Range") == f"bytes */{held}":
                    return
                self._forget()
                raise _CutError
            self._check(response)
            start = _start(response)
            if start not in (0, held):
                self._forget()
                raise _CutError
            length = response.headers.get("Content-Length", "")
            plain = response.headers.get("Content-Encoding", "identity") == "identity"
            total = start + int(length) if plain and length.isdecimal() else None
            self._check_size(total)
            if not start:
                self._begin(response)
            self._write(response, start, total)
        total = total or self.size
        if total and self._held() < total:
            raise _CutError
        self._check_size(self._held())

    def _asked(self, headers: dict[str, str]) -> requests.Response:
        try:
            return requests.get(self.url, headers=headers, stream=True, timeout=_TIMEOUTS)
        except OSError as error:  # of requests, or of its certificates
            raise UnreachedError(_unreached(self.url, error)) from None

    def _check(self, response: requests.Response) -> None:
        """Refuse an answer that is not the file."""
        status = response.status_code
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise ModelError(
                f"{self.url}: the file is no longer there ({status}); get it from its publisher, "
                "then run `unmix models import FILE`"
            )
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise UnreachedError(
                f"{self.url}: the server answered {status} {response.reason}; try again later"
            )
        if self.url.startswith("https:") and not response.url.startswith("https:"):
            raise ModelError(
                f"{self.url}: refused a redirect to {response.url}, which is not encrypted"
            )
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise UnreachedError(
                f"{self.url}: the server sent a web page instead of a file; open it in a browser, "
                "as your network may ask you to log in"
            )

    def _check_size(self, total: int | None) -> None:
        if self.size and total and total != self.size:
            self._forget()
            raise ModelError(
                f"{self.url}: expected {self.size} bytes, got {total}: the file has changed, and "
                "unmix does not use it"
            )

    def _begin(self, response: requests.Response) -> None:
        """Start a new part, and note the version that a later answer must continue."""
        self._forget()
        tag = response.headers.get("ETag", "")
        # A weak tag does not promise the same bytes.
        validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
        with _writing(self.target.parent):
            self.part.touch()
            if validator:
                note = {"url": self.url, "validator": validator}
                self.note.write_text(json.dumps(note), encoding="ascii")

    def _noted(self) -> str | None:
        """Return the version of the part, None if it is unknown or of another URL."""
        try:
            note = json.loads(self.note.read_text(encoding="ascii"))
            return str(note["validator"]) if note["url"] == self.url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, response: requests.Response, start: int, total: int | None) -> None:
        done = start
        blocks = response.iter_content(_BLOCK)
        while block := _next(blocks):
            with _writing(self.part.parent), self.part.open("ab") as file:
                file.write(block)
            done += len(block)
            if self.progress:
                self.progress(done, total or self.size)


def _next(blocks: Iterator[bytes]) -> bytes:
    """Return the next block; an empty one at the end.

    Raises:
        _CutError: the connection broke, or fell silent.
    """
    try:
        return next(blocks, b"")
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
        raise _CutError from None


def _start(response: requests.Response) -> int:
    """Return the first byte of a response within the file; -1 if it does not say."""
    if response.status_code == HTTPStatus.OK:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _unreached(url: str, error: OSError) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return f"{url}: the server's certificate cannot be verified; nothing was downloaded"
    if isinstance(error, requests.Timeout):
        return f"{url}: the server does not answer; try again later"
    if isinstance(error, requests.ConnectionError):
        return f"{url}: cannot be reached; check your network and try again"
    return f"{url}: cannot be downloaded ({error}); try again later"


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn an error of the operating system into one sentence; wrap only what touches files."""
    try:
        yield
    except OSError as error:
        raise ModelError(_unwritten(folder, error)) from None


def _unwritten(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return (
            f"{folder}: the disk is full; free some space, or set UNMIX_CACHE to a folder on "
            "another disk"
        )
    return f"{folder}: cannot be written ({error}); set UNMIX_CACHE to a writable folder"
