"""A local server of files, and archives to serve: what the tests of downloads share."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

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


@contextmanager
def served() -> Iterator[Net]:
    """Serve the files of a ``Net`` on this machine."""
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


def packed_tar(members: dict[str, bytes | str]) -> bytes:
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


def packed_zip(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()
