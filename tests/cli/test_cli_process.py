"""The command line as a process of its own: signals, terminals, locales, and a real model."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from unmix.audio import read_audio

MakeSong = Callable[..., Path]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and terminals of POSIX")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small, untrained, real model as a file of weights."""
    import torch

    from unmix.models import build
    from unmix.weights.load import save_weights

    torch.manual_seed(0)
    config = {"n_fft": 2048, "hop_length": 1024, "frames": 128, "width": 2, "depth": 3}
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, "unet", config, build("unet", config).state_dict(), "MIT")
    return path


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "unmix", *map(str, arguments)]


def test_the_excerpt_from_end_to_end(excerpt: Path, weights: Path, tmp_path: Path) -> None:
    command = _command("separate", excerpt, "--model", weights, "--json", "--bit-depth", 32)
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    [song] = json.loads(done.stdout)["songs"]
    mixture, rate = read_audio(excerpt)
    assert (song["sample_rate"], song["channels"], song["samples"]) == (rate, *mixture.shape)
    stems = [read_audio(tmp_path / path)[0] for path in song["stems"].values()]
    np.testing.assert_allclose(sum(stems), mixture, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::unmix.AudioWarning")
def test_tricky_songs_through_the_model_that_ships(tricky: Path, tmp_path: Path) -> None:
    """What README.md beside the files promises for each, in one run over all of them."""
    command = _command("separate", tricky, "-o", "out", "--json")
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    songs = {Path(song["source"]).name: song for song in json.loads(done.stdout)["songs"]}
    assert set(songs) == {path.name for path in tricky.iterdir() if path.name != "README.md"}
    failed = {name: song["error"] for name, song in songs.items() if song["status"] == "failed"}
    sentences = {"empty.wav": "empty", "text.mp3": "not an audio file", "no-audio.mp4": "no audio"}
    assert set(failed) == set(sentences)
    assert all(sentences[name] in error for name, error in failed.items())
    errors = [line for line in done.stderr.decode().splitlines() if line.startswith("error:")]
    assert errors == [f"error: {failed[name]}" for name in songs if name in failed]

    wanted = set(songs) - set(failed)
    stems = {
        name: [read_audio(tmp_path / path)[0] for path in songs[name]["stems"].values()]
        for name in wanted
    }
    for name in wanted:
        mixture, rate = read_audio(tricky / name)
        song = songs[name]
        assert (song["sample_rate"], song["channels"], song["samples"]) == (rate, *mixture.shape)
        assert [stem.shape for stem in stems[name]] == [mixture.shape] * 2
        assert (song["gain"] < 1) == ("would clip" in " ".join(song["warnings"]))
        np.testing.assert_allclose(sum(stems[name]), song["gain"] * mixture, atol=1.01 * 2.0**-15)
    assert songs["hot.wav"]["gain"] < 1
    assert songs["surround.wav"]["channels"] == 6
    assert songs["no-samples.wav"]["samples"] == 0
    assert not any(stem.any() for stem in stems["silence.wav"])
    assert "replaced by 0" in songs["nan.wav"]["warnings"][0]
    assert "cut short" in songs["truncated.flac"]["warnings"][0]
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {tmp_path / path for name in wanted for path in songs[name]["stems"].values()}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {Path(n).stem for n in wanted}


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_leaves_no_partial_file(
    weights: Path, make_song: MakeSong, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=600)
    out = tmp_path / "out"
    command = _command("separate", song, "--model", weights, "-o", out, "--device", "cpu")
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # In the background of a script interrupts are ignored, and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in out.rglob("*.raw")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in err
    assert (b"Interrupted: no unfinished files are left." in err) == (number == signal.SIGINT)
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_a_terminal_shows_bars_with_time_left_and_a_pipe_only_paths(
    weights: Path, make_song: MakeSong, tmp_path: Path
) -> None:
    songs = [make_song(tmp_path / f"{name} [live].wav", seconds=5) for name in "ab"]
    screen, terminal = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        _command("separate", *songs, "--model", weights, "-o", tmp_path, "--stems", "vocals"),
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=environment,
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while piece := os.read(screen, 65536):
                shown += piece
        except OSError:  # how Linux says that nobody holds the terminal any more
            pass
        out = process.communicate()[0].decode()
    os.close(screen)
    assert process.returncode == 0
    assert out.splitlines() == [str(tmp_path / f"{s.stem}" / "vocals.wav") for s in songs]
    text = shown.decode()
    for part in ("a [live].wav", "b [live].wav", "song 1 of 2", "song 2 of 2", " %", "left"):
        assert part in text
    assert "2 songs done" in text


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        pytest.param("café 日本.wav".encode(), {}, marks=pytest.mark.slow),
        ("café 日本.wav".encode(), {"PYTHONIOENCODING": "ascii"}),
        pytest.param(b"caf\xe9.wav", {}, marks=pytest.mark.slow),
        (b"caf\xe9.flac", {}),
    ],
)
def test_any_file_name_in_any_locale(
    weights: Path, make_song: MakeSong, tmp_path: Path, name: bytes, encoding: dict[str, str]
) -> None:
    song = tmp_path / os.fsdecode(name)
    make_song(tmp_path / f"song{song.suffix}", seconds=0.1).rename(song)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    done = subprocess.run(
        _command("separate", song, f"missing {song.name}", "--model", weights, "-o", tmp_path),
        capture_output=True,
        env={**kept, "LC_ALL": "C", **encoding},
        check=False,
    )
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"error:") == 1
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert (tmp_path / song.stem / "vocals.wav").is_file()
