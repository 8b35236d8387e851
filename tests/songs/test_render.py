"""All outputs or none: wherever something fails, the folder stays as it was."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from writing import separate_file

from unmix.audio import AudioWriter
from unmix.audio.wav import WavEncoder
from unmix.errors import AudioError, Cancelled
from unmix.songs.render import StemSeparator

Samples = NDArray[np.float32]
MakeSong = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes | None]]


class _Breaks:
    """A separator that fails after the first block."""

    stems = ("vocals", "accompaniment")
    model_name = "breaks"

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        for block in blocks:
            yield {"vocals": block, "accompaniment": 0 * block}
            raise self._error


def _break_method(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: BaseException, after: int
) -> None:
    original = getattr(owner, name)
    calls = iter(range(10**9))

    def call(*args: object, **options: object) -> object:
        if next(calls) >= after:
            raise error
        return original(*args, **options)

    monkeypatch.setattr(owner, name, call)


FAILURES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "writing": lambda patch: _break_method(
        patch, AudioWriter, "write", AudioError("no room"), after=3
    ),
    "completing": lambda patch: _break_method(
        patch, WavEncoder, "close", OSError(28, "No space left"), after=1
    ),
    "tagging": lambda patch: _break_tags(patch),
    "renaming": lambda patch: _break_renaming(patch),
}


def _break_tags(patch: pytest.MonkeyPatch) -> None:
    def fail(source: Path, destination: Path, *, stem_title: str) -> list[str]:
        raise AudioError(f"{destination} cannot be tagged")

    patch.setattr("unmix.songs.separate.copy_tags", fail)


def _break_renaming(patch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target.name == "accompaniment.wav":
            raise PermissionError(13, "Permission denied", str(self), None, str(target))
        return replace(self, target)

    patch.setattr(Path, "replace", fail)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("bit_depth", [16, 32])
@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_anywhere_leaves_the_folder_as_it_was(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
    failure: str,
    bit_depth: int,
    replace: bool,
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=3)
    if replace:
        (tmp_path / "out" / "song").mkdir(parents=True)
        (tmp_path / "out" / "song" / "vocals.wav").write_text("mine")
    before = tree(tmp_path)
    FAILURES[failure](monkeypatch)
    with pytest.raises(AudioError) as caught:
        separate_file(splitter, song, tmp_path / "out", bit_depth=bit_depth, existing="overwrite")
    assert ".unmix-" not in str(caught.value)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("where", ["separator", "progress"])
@pytest.mark.parametrize(
    "error",
    [
        *(Cancelled("stop"), KeyboardInterrupt(), SystemExit(143), ValueError(), MemoryError()),
        *(BrokenPipeError(32, "Broken pipe"), TimeoutError("the browser is gone")),
    ],
)
def test_what_separator_and_progress_raise_passes_through(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    tree: Tree,
    error: BaseException,
    where: str,
) -> None:
    song = make_song(tmp_path / "song.wav")
    before = tree(tmp_path)

    def progress(fraction: float) -> None:
        if where == "progress" and fraction > 0:
            raise error

    separator = _Breaks(error) if where == "separator" else splitter
    with pytest.raises(type(error)) as caught:
        separate_file(separator, song, tmp_path / "a" / "b", progress=progress)
    assert caught.value is error
    assert tree(tmp_path) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux offers a full disk")
@pytest.mark.parametrize("seconds", [0.01, 3])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    """It is found while the stems wait on disk; for a short song, at their first byte."""
    song = make_song(tmp_path / "song.wav", seconds=seconds)
    before = tree(tmp_path)
    opened = Path.open

    def open_full(self: Path, *arguments: Any, **options: Any) -> Any:
        path = Path("/dev/full") if self.suffix == ".raw" else self
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_full)
    target = tmp_path / "out" / "song" / "vocals.wav"
    with pytest.raises(AudioError) as caught:
        separate_file(splitter, song, tmp_path / "out")
    assert str(caught.value) == f"{target}: cannot be written: No space left on device"
    assert tree(tmp_path) == before


@pytest.mark.parametrize("bit_depth", [16, 32])
@pytest.mark.parametrize("at", [0.0, 0.4, 0.95, 1.0])
def test_progress_never_falls_and_cancels_anywhere(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    tree: Tree,
    bit_depth: int,
    at: float,
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=3)
    before = tree(tmp_path)

    def cancel(fraction: float) -> None:
        if fraction >= at:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        separate_file(splitter, song, tmp_path / "out", bit_depth=bit_depth, progress=cancel)
    assert tree(tmp_path) == before
    fractions: list[float] = []
    separate_file(splitter, song, tmp_path / "out", bit_depth=bit_depth, progress=fractions.append)
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert len(fractions) > 10


def test_nothing_is_put_in_the_systems_temporary_folder(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is memory on many systems; a long song's spool belongs on the disk of the stems."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    song = make_song(tmp_path / "song.wav")
    places: list[set[str]] = []

    def look(_: float) -> None:
        places.append({path.parent.name[:7] for path in tmp_path.rglob("*.raw")})

    separate_file(splitter, song, tmp_path / "out", progress=look)
    assert {".unmix-"} in places


def test_a_separator_that_loses_samples_is_found_out(
    make_song: MakeSong, tmp_path: Path, tree: Tree
) -> None:
    class Forgetful:
        stems = ("vocals", "accompaniment")
        model_name = "forgetful"

        def stream(
            self, blocks: Iterable[Samples], sample_rate: int
        ) -> Iterator[dict[str, Samples]]:
            for block in blocks:
                yield dict.fromkeys(self.stems, block[:, 1:])

    song = make_song(tmp_path / "song.wav")
    before = tree(tmp_path)
    with pytest.raises(RuntimeError, match="44100 samples in, 44099 out"):
        separate_file(Forgetful(), song, tmp_path / "out")
    assert tree(tmp_path) == before
