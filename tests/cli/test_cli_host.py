"""Missing streams, homes, caches and libraries of pictures: the songs are done, and it is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unmix.audio import AudioWriter, OutputFormat, libraries, probe
from unmix.cli import main
from unmix.data.tempo_key_cache import with_tempo_key
from unmix.errors import NoCacheError
from unmix.storage import cache_folder
from unmix.weights.manifest import list_models

UNMIX = [sys.executable, "-m", "unmix"]
FAST = ["-q", "fast", "-m", "tfc-tdf-tiny", "--device", "cpu"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")


def _song(path: Path, seconds: float = 0.5) -> Path:
    wav = OutputFormat.parse("wav")
    with AudioWriter(path, sample_rate=44100, channels=2, format=wav) as file:
        noise = np.random.default_rng(0).normal(0, 0.1, (2, round(44100 * seconds)))
        file.write(noise.astype(np.float32))
    return path


def _shell(redirections: str, *words: str) -> subprocess.CompletedProcess[str]:
    run = ["bash", "-c", f'set -o pipefail; "$@" {redirections}', "bash", *UNMIX, *words]
    return subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)


@posix
@pytest.mark.parametrize(
    ("redirections", "code", "said"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        (">/dev/full", 1, "standard output cannot be written: No space left on device"),
        ("2>/dev/full", 0, ""),
        (">/dev/full 2>/dev/full", 1, ""),
        ("| true", 0, ""),
    ],
)
def test_streams_that_nobody_reads(redirections: str, code: int, said: str) -> None:
    done = _shell(redirections, "models", "path", "tfc-tdf-tiny")
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@posix
@pytest.mark.slow
@pytest.mark.parametrize("redirections", [">&-", "2>&-", ">&- 2>&- <&-", ">/dev/full", "| true"])
@pytest.mark.parametrize("json", [(), ("--json",)])
def test_all_songs_are_done_without_a_standard_output(
    tmp_path: Path, redirections: str, json: tuple[str, ...]
) -> None:
    """What is closed is not the number of a file that opens next: notes would go into a song."""
    songs = [str(_song(tmp_path / f"{name}.wav")) for name in "ab"]
    out = tmp_path / "out"
    done = _shell(redirections, "separate", *songs, *FAST, "-o", str(out), *json)
    assert done.returncode == (1 if "full" in redirections else 0)
    assert "Traceback" not in done.stderr
    for name in "ab":
        assert probe(out / name / "vocals.wav").length == probe(songs[0]).length


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose home nobody knows."""

    def fail(*_: object) -> str:
        raise RuntimeError("could not determine the home directory")

    for name in ("UNMIX_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", fail)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_only_the_cache_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list_models()
    with pytest.raises(NoCacheError, match="set UNMIX_CACHE"):
        cache_folder()
    assert with_tempo_key((), voices=False) == ()
    with pytest.raises(SystemExit) as stopped:
        main(["models", "download", "spleeter-2stems"])
    assert stopped.value.code == 1
    assert "set UNMIX_CACHE" in capsys.readouterr().err
    song = _song(tmp_path / "a.wav")
    with pytest.raises(SystemExit) as stopped:
        main(["separate", str(song), *FAST, "-o", str(tmp_path / "out")])
    assert stopped.value.code == 0


@pytest.mark.slow
def test_librosas_compiler_gets_a_folder_where_it_finds_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a read-only container without a home."""
    import numba

    real, tried = libraries._loaded, []

    def loaded() -> object:
        tried.append(numba.config.CACHE_DIR)
        if len(tried) == 1:
            raise RuntimeError("cannot cache function '__o_fold': no locator available for file")
        return real()

    monkeypatch.setattr(libraries, "_loaded", loaded)
    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)
    assert libraries.import_librosa().stft
    assert os.access(tried[1], os.W_OK)


@pytest.mark.slow
def test_the_backend_of_a_notebook_is_no_hindrance(tmp_path: Path) -> None:
    song = _song(tmp_path / "a.wav")
    backend = {"MPLBACKEND": "module://a_backend_that_is_missing.inline"}
    done = subprocess.run(
        [*UNMIX, "separate", str(song), *FAST, "--plot", "-o", str(tmp_path / "out")],
        env={**os.environ, **backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (tmp_path / "out" / "a" / "spectrograms.png").stat().st_size > 10_000
    assert "warning" not in done.stderr


@pytest.mark.slow
def test_a_picture_that_fails_costs_no_song(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    song = _song(tmp_path / "a.wav")
    with pytest.raises(SystemExit) as stopped:
        main(["separate", str(song), *FAST, "--plot", "-o", str(tmp_path / "out")])
    assert stopped.value.code == 0
    assert "a.wav: the picture is left out: " in capsys.readouterr().err
    names = {path.name for path in (tmp_path / "out" / "a").iterdir()}
    assert names == {"vocals.wav", "accompaniment.wav"}


@posix
def test_a_current_folder_that_was_deleted_is_one_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = ["bash", "-c", 'rmdir "$PWD" && "$@"', "bash", sys.executable, "-P", "-m", "unmix"]
    done = subprocess.run(
        [*words, "separate", "a.wav"], capture_output=True, text=True, check=False, cwd=gone
    )
    assert done.returncode == 1
    assert done.stderr == "error: the current folder was deleted: change to another one\n"
