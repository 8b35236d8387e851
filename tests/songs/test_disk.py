"""Disks that fill up, and files that change meanwhile: outputs are whole or absent."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from writing import karaoke_file, separate_file

from unmix.audio import FORMATS, Picture, Tags, open_audio, read_tags, tags
from unmix.errors import AudioError
from unmix.songs.render import StemSeparator

MakeSong = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes | None]]

SPOILERS: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks files that are open")
@pytest.mark.parametrize("ending", ["raw", "wav"])
@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
@pytest.mark.parametrize("at", [0.5, 0.95])
def test_files_that_change_meanwhile_are_noticed(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    tree: Tree,
    spoil: Callable[[Path], object],
    ending: str,
    at: float,
) -> None:
    """Before the gain is known, and while the stems are encoded."""
    song = make_song(tmp_path / "song.wav", seconds=5)
    before = tree(tmp_path)
    done: list[float] = []

    def meddle(fraction: float) -> None:
        if fraction >= at and not done:
            done.append(fraction)
            spoil(next((tmp_path / "out").rglob(f"vocals.wav{'.raw' * (ending == 'raw')}")))

    with pytest.raises(AudioError, match=r"vocals\.wav|accompaniment\.wav"):
        separate_file(splitter, song, tmp_path / "out", progress=meddle)
    assert done
    assert tree(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks files that are open")
def test_a_temporary_file_with_other_samples_is_noticed(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, tree: Tree
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=5)
    before = tree(tmp_path)

    def meddle(_: float) -> None:
        for path in (tmp_path / "out").rglob("*.raw"):
            with path.open("r+b") as file:
                file.write(b"noise")

    with pytest.raises(AudioError, match="another program has changed its temporary file"):
        separate_file(splitter, song, tmp_path / "out", progress=meddle)
    assert tree(tmp_path) == before


@contextmanager
def _disk(folder: Path, kibibytes: int) -> Iterator[None]:
    """Mount a small disk, which needs the rights of root."""
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "none", str(folder)]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no right to mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _sizes(full: int, count: int) -> list[int]:
    """Return sizes in KiB, from nothing to what a song needs while it is written, and more."""
    steps = np.linspace(4, full, count).astype(int)
    return sorted({int(step) // 4 * 4 for step in steps} | {full, 20 * full})


@pytest.fixture
def tagged_song(make_song: MakeSong, tmp_path: Path) -> Path:
    song = make_song(tmp_path / "song.wav", seconds=0.5)
    cover = Picture(data=np.random.default_rng(0).bytes(20_000), mime="image/png")
    tags._write(song, Tags(fields={"title": ("Song",)}, pictures=(cover,)))
    return song


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
@pytest.mark.parametrize("count", [5, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "bits"), [*((name, None) for name in FORMATS), ("wav", 32)])
def test_on_a_disk_of_any_size_a_song_is_whole_or_absent(
    splitter: StemSeparator, tagged_song: Path, tmp_path: Path, name: str, bits: int, count: int
) -> None:
    """Temporary files, samples, tags and covers: wherever the room ends."""
    disk, whole = tmp_path / "disk", 0
    said: list[str] = []
    for size in _sizes(480, count):
        with _disk(disk, size):
            try:
                done = separate_file(
                    splitter, tagged_song, disk / "out", format=name, bit_depth=bits
                )
            except AudioError as error:
                said.append(str(error))
                assert not list(disk.iterdir())
                continue
            assert not [warning for warning in done.warnings if "support" not in warning]
            for path in done.stems.values():
                with open_audio(path) as reader:
                    assert sum(block.shape[1] for block in reader.blocks()) == done.samples
                    assert reader.complete
                assert len(read_tags(path).pictures[0].data) == 20_000
            whole += 1
    assert whole
    assert all(str(disk / "out") in text and ".unmix-" not in text for text in said)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
@pytest.mark.parametrize("count", [5, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm"])
def test_on_a_disk_of_any_size_a_video_is_whole_or_absent(
    splitter: StemSeparator,
    make_video: Callable[..., Path],
    tmp_path: Path,
    ending: str,
    count: int,
) -> None:
    codecs = ("libvpx", "libopus") if ending == "webm" else ("mpeg4", "aac")
    film = make_video(tmp_path / f"film.{ending}", *codecs)
    disk, sizes = tmp_path / "disk", set()
    said: list[str] = []
    for size in _sizes(800, count):
        with _disk(disk, size):
            try:
                done = karaoke_file(splitter, film, disk / "out")
            except AudioError as error:
                said.append(str(error))
                assert not list(disk.iterdir())
                continue
            sizes.add(done.path.stat().st_size)
    assert len(sizes) == 1
    assert not [text for text in said if ".unmix-" in text]
