"""The commands that are killed: what they read, how they go on, and which files are whole."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

from unmix.models import Model

from .job import TINY, length_of
from .seeds import song

#: Name under which the small model is published.
_PUBLISHED = "unet-16khz"
_SECONDS = 3.0
_STEPS = 12
_PIECE = 32768  # bytes that the server sends at once


@dataclass(frozen=True)
class Command:
    """A command, for a folder that it writes to."""

    begin: Callable[[Path], list[str]]
    """Arguments of ``unmix`` for the first time."""
    go_on: Callable[[Path], list[str]]
    """Arguments after it was killed."""


def commands(inputs: Path) -> Mapping[str, Command]:
    """Write what the commands read into a folder, and return them by name."""
    samples = song(_SECONDS)
    tracks = inputs / "tracks"
    for number in range(2):
        folder = tracks / f"track{number}"
        folder.mkdir(parents=True)
        soundfile.write(inputs / f"song{number}.wav", samples.T, 44100)
        for stem, share in (("vocals", 0.4), ("accompaniment", 0.6)):
            soundfile.write(folder / f"{stem}.wav", share * samples.T, 44100)
    recipe = inputs / "recipe.toml"
    recipe.write_text(_RECIPE, encoding="utf-8")
    songs = [str(inputs / f"song{number}.wav") for number in range(2)]
    model = ["--model", TINY, "--quality", "fast", "--device", "cpu"]
    trained = ["train", str(recipe), "--data", str(inputs), "--workers", "0", "--device", "cpu"]
    scored = ["evaluate", "--data", str(tracks), "--metrics", "sdr", "--baselines", "mixture"]

    def rendered(verb: str) -> Command:
        begin = [verb, *songs, *model, "--format", "flac"]
        return Command(
            lambda out: [*begin, "--out", str(out)],
            lambda out: [*begin, "--out", str(out), "--skip-existing"],
        )

    def train_on(out: Path) -> list[str]:
        last = ["--resume"] if (out / "last.ckpt").exists() else []
        return [*trained, "--out", str(out), *last]

    def evaluate(out: Path) -> list[str]:
        return [*scored, *model, "--out", str(out)]

    def download(_: Path) -> list[str]:
        return ["models", "download", _PUBLISHED]

    return {
        "separate": rendered("separate"),
        "karaoke": rendered("karaoke"),
        "train": Command(lambda out: [*trained, "--out", str(out)], train_on),
        "evaluate": Command(evaluate, evaluate),
        "download": Command(download, download),
    }


def fault_in(path: Path) -> str:
    """Return why a file is not whole, "" if it is."""
    try:
        if path.suffix == ".flac":
            held = length_of(path)
            return "" if held == round(_SECONDS * 44100) else f"{path.name} has {held} samples"
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".ckpt":
            from unmix.training.checkpoint import load_checkpoint

            load_checkpoint(path)
        elif path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            load_file(path)
    except Exception as error:
        return f"{path.name} is not whole: {error}"
    return "" if path.stat().st_size else f"{path.name} is empty"


def publish() -> Callable[[], None]:
    """Serve a small model on this machine, slowly; return what publishes it in a process.

    The server ends with this process.
    """
    from unmix.models import build
    from unmix.recipes.reading import find_architecture
    from unmix.weights import download, manifest

    choice = find_architecture(_PUBLISHED)
    model = build(choice.architecture, {**choice.model, "widths": [16, 32, 64, 64, 64, 64]})
    content = foreign_archive(model, choice.architecture)
    entry = manifest.find_published("spleeter-2stems")
    assert entry is not None
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(content))
    get_context("fork").Process(target=server.serve_forever, daemon=True).start()
    entry = entry.model_copy(
        update={
            "name": _PUBLISHED,
            "recipe": _PUBLISHED,
            "url": f"http://127.0.0.1:{server.server_port}/published.npz",
            "file": "",
            "size": len(content),
            "sha256": sha256(content).hexdigest(),
        }
    )

    def put() -> None:
        for module in (manifest, download):
            module.list_published = lambda: [entry]  # type: ignore[attr-defined]

    return put


def foreign_archive(model: Model, architecture: str) -> bytes:
    """Return a model as its converter wants it, in an archive of numpy."""
    from unmix.weights.converters import converters

    state = model.state_dict()
    moves = [move for move in converters()[architecture].moves(model) if move.ours in state]
    file = io.BytesIO()
    np.savez(file, **{move.theirs: state[move.ours].numpy() for move in moves})
    return file.getvalue()


def _handler(content: bytes) -> type[BaseHTTPRequestHandler]:
    """Return what answers with a file, or the rest of it, a little at a time."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "bytes=0-")
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            size = len(content)
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("ETag", '"one"')
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            with suppress(ConnectionError):  # who asked was killed
                for at in range(start, size, _PIECE):
                    self.wfile.write(content[at : at + _PIECE])
                    time.sleep(0.005)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


_RECIPE = f"""
architecture = "unet"

[model]
stems = ["vocals"]
sample_rate = 44100
audio_channels = 2
n_fft = 256
hop_length = 64
frames = 32
width = 4
depth = 2

[train]
steps = {_STEPS}
batch_size = 2
warmup = 2
precision = "32-true"
validate_every = 4
validation = ["tracks"]
checkpoint_minutes = 0.001
corpora = [{{ path = "tracks", vocals = 1, accompaniment = 1, coherent = 1 }}]
"""
