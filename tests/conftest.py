"""What all tests share: real files where they are, a song that ships, and a quick separator."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Samples = NDArray[np.float32]
ROOT = Path(__file__).parents[1]

if "PYTEST_XDIST_WORKER" in os.environ:
    # A process for each core: more threads than one would only be in each other's way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Training has the processor treat denormals as zero, for good; other tests compare them."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that is the test's own; downloads in it come from this machine."""
    monkeypatch.setenv("UNMIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real songs, tricky files and data beside the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder} with the real files is not there")
    return folder


@pytest.fixture(scope="session")
def songs(shared: Path) -> list[Path]:
    return sorted(path for path in (shared / "songs").iterdir() if path.suffix != ".md")


@pytest.fixture(scope="session")
def tricky(shared: Path) -> Path:
    return shared / "tricky"


@pytest.fixture(scope="session")
def excerpt() -> Path:
    """The excerpt of a real song, with singing, that ships with the project."""
    return next((ROOT / "tests" / "songs").glob("*_excerpt.ogg"))


class SplitSeparator:
    """Has a separator's interface, and gives the singer 30 % of everything.

    It holds samples back and gives them out in pieces of its own, as a real one does.
    """

    def __init__(self, share: float = 0.3, piece: int = 7001) -> None:
        self.stems = ("vocals", "accompaniment")
        self.model_name = "split"
        self._share = np.float32(share)
        self._piece = piece

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        assert sample_rate > 0
        held: Samples | None = None
        for block in blocks:
            held = block if held is None else np.concatenate([held, block], axis=1)
            while held.shape[1] > 2 * self._piece:
                yield self._split(held[:, : self._piece])
                held = held[:, self._piece :]
        if held is not None:
            yield self._split(held)

    def _split(self, mixture: Samples) -> dict[str, Samples]:
        vocals = mixture * self._share
        return {"vocals": vocals, "accompaniment": mixture - vocals}


@pytest.fixture
def splitter() -> SplitSeparator:
    return SplitSeparator()


@pytest.fixture(scope="session")
def make_splitter() -> Callable[..., SplitSeparator]:
    return SplitSeparator


@pytest.fixture(scope="session")
def make_song() -> Callable[..., Path]:
    """Write a file of noise whose loudest sample is ``peak``."""
    from unmix.audio import AudioWriter, OutputFormat

    def make(
        path: Path,
        *,
        seconds: float = 1.0,
        sample_rate: int = 44100,
        channels: int = 2,
        peak: float = 0.5,
        bit_depth: int | None = None,
    ) -> Path:
        count = round(seconds * sample_rate)
        samples = np.random.default_rng(count).uniform(-1, 1, (channels, count)).astype(np.float32)
        if count:
            samples *= np.float32(peak) / np.abs(samples).max()
        output = OutputFormat.parse(path.suffix, bit_depth)
        with AudioWriter(path, sample_rate=sample_rate, channels=channels, format=output) as writer:
            writer.write(samples)
        return path

    return make


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Write a video of 3 s whose picture turns bright, and whose sound sets in, after 1 s."""
    import av

    def make(path: Path, picture: str, sound: str, *, sound_starts: float = 0.0) -> Path:
        rate = 48000
        length = round((3 - sound_starts) * rate)
        samples = np.random.default_rng(0).normal(0, 0.2, (2, length)).astype(np.float32)
        samples[:, : round((1 - sound_starts) * rate)] = 0
        container_format = "mp4" if path.suffix == ".m4v" else None
        with av.open(str(path), "w", format=container_format) as container:
            container.metadata.update({"title": "Film", "artist": "Band"})
            seen = container.add_stream(picture, rate=25)
            seen.width, seen.height, seen.pix_fmt = 64, 48, "yuv420p"  # type: ignore[union-attr]
            heard = container.add_stream(sound, rate=rate)
            heard.layout = "stereo"  # type: ignore[union-attr]
            heard.metadata["language"] = "fra"
            for index in range(75):
                gray = np.full((72, 64), 235 if index >= 25 else 16, np.uint8)
                image = av.VideoFrame.from_ndarray(gray, format="yuv420p")
                image.pts = index
                container.mux(seen.encode(image))  # type: ignore[union-attr]
            container.mux(seen.encode(None))  # type: ignore[union-attr]
            for start in range(0, length, 960):
                piece = np.ascontiguousarray(samples[:, start : start + 960])
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = start + round(sound_starts * rate)
                container.mux(heard.encode(frame))  # type: ignore[union-attr]
            container.mux(heard.encode(None))  # type: ignore[union-attr]
        return path

    return make


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, bytes | None]]:
    """Take a picture of a folder: every file with its content, every folder, hidden ones too."""

    def look(folder: Path) -> dict[str, bytes | None]:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(folder.rglob("*"))
        }

    return look
