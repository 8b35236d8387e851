"""``train``: devices, interrupts, logs and tables."""

import csv
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from unmix.cli.train import _Display
from unmix.training.checkpoint import load_checkpoint
from unmix.training.run import Run

Unmix = Callable[..., Any]
MakeSong = Callable[..., Path]


def test_an_unknown_device_is_one_line(unmix: Unmix, tmp_path: Path) -> None:
    arguments = ("train", "unet", "--data", tmp_path, "-o", tmp_path / "run")
    outcome = unmix(*arguments, "--device", "abacus")
    assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
    assert "unknown device 'abacus'" in outcome.errors[0]
    assert not (tmp_path / "run").exists()


def test_only_the_first_device_of_a_kind_trains(
    unmix: Unmix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr("unmix.devices.choose_device", torch.device)
    outcome = unmix("train", "unet", "--data", tmp_path, "--device", "cuda:1")
    assert outcome.code == 1
    assert "CUDA_VISIBLE_DEVICES=1" in outcome.errors[0]


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize(("stopped", "code"), [(KeyboardInterrupt, 130), (SystemExit, 143)])
def test_an_interrupt_is_one_line_that_says_how_to_go_on(
    unmix: Unmix,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    saved: bool,
    stopped: type[BaseException],
    code: int,
) -> None:
    """From the keyboard, or by a signal."""
    devices = []

    def stop(run: Run, *_: object) -> None:
        devices.append(run.device)
        if saved:
            run.out.mkdir()
            run.last.touch()
        raise stopped(code)

    monkeypatch.setattr("unmix.training.loop.train", stop)
    monkeypatch.setattr("unmix.training.validation.find_tracks", lambda *_: [])
    outcome = unmix("train", "unet", "--data", tmp_path, "-o", tmp_path / "run", "--device", "cpu")
    assert outcome.code == code
    last = tmp_path / "run" / "last.ckpt"
    text = f"--resume continues from {last}" if saved else "nothing to resume"
    assert outcome.err.splitlines()[-1] == f"Interrupted: {text}."
    assert devices == ["cpu"]


@pytest.fixture
def recipe(tmp_path: Path, make_song: MakeSong) -> Path:
    """A recipe of a small model, beside a folder ``data`` with a track."""
    for stem in ("vocals", "accompaniment"):
        (tmp_path / "data" / "songs" / "one").mkdir(parents=True, exist_ok=True)
        song = tmp_path / "data" / "songs" / "one" / f"{stem}.wav"
        make_song(song, seconds=2.0, sample_rate=8000, peak=0.3)
    path = tmp_path / "small.toml"
    path.write_text(
        """
        architecture = "unet"
        [model]
        sample_rate = 8000
        n_fft = 128
        hop_length = 32
        frames = 16
        width = 2
        depth = 2
        [train]
        steps = 20
        batch_size = 1
        validate_every = 10
        schedule.kind = "constant"
        validation = ["songs"]
        [[train.corpora]]
        path = "songs"
        vocals = 1
        accompaniment = 1
        coherent = 1
        """
    )
    return path


def test_a_recipe_and_a_folder_become_a_model_with_logs(
    unmix: Unmix, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = ("--data", tmp_path / "data", "-o", out, "--workers", 0, "--device", "cpu")
    outcome = unmix("train", recipe, *options, "--tensorboard")
    assert outcome.code == 0, outcome.err
    last = out / "last.ckpt"
    assert f"Trained: {last}." in outcome.err
    assert "(mean whole-track SDR)" in outcome.err
    with (out / "log.csv").open() as log:
        assert [row["step"] for row in csv.DictReader(log)] == ["10", "20"]
    scores = (out / "scores.csv").read_text().splitlines()
    assert scores[0] == "step,vocals,accompaniment"
    assert [row.split(",")[0] for row in scores[1:]] == ["10", "20"]
    assert list((out / "tensorboard").glob("events.*"))
    shorter = unmix("train", recipe, *options, "--resume", "--steps", 10)
    assert shorter.code == 1
    assert "with another recipe: train.steps (fewer than the 20 done" in shorter.errors[0]
    again = unmix("train", recipe, *options, "--resume", "--steps", 30)
    assert again.code == 0, again.err
    with (out / "log.csv").open() as log:
        assert [row["step"] for row in csv.DictReader(log)] == ["10", "20", "30"]


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(
    unmix: Unmix, recipe: Path, tmp_path: Path, tree: Callable[[Path], object]
) -> None:
    before = tree(tmp_path)
    options = ("--data", tmp_path / "data", "-o", tmp_path / "run", "--device", "cpu")
    outcome = unmix("train", recipe, *options, "--dry-run")
    assert outcome.code == 0, outcome.err
    lines = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    names = ("model", "parameters", "checkpoint", "memory", "computes", "step", "loading", "total")
    assert tuple(lines) == names
    assert lines["model"] == "unet: vocals"
    assert lines["total"].startswith("20 steps, about 0:")
    assert lines["loading"].endswith(" s per item, in each of 2 processes")
    alone = unmix("train", recipe, *options, "--dry-run", "--workers", 0)
    assert " s per item, in one process" in alone.out
    assert tree(tmp_path) == before


def test_the_bar_bears_a_step_that_was_skipped(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(stderr=True)
    with _Display(console, 3) as display:
        for step, loss in enumerate((1.0, math.nan, 1.0), 1):
            display.step(step, loss, 1e-3, 1.0)
    error = capfd.readouterr().err
    assert "step 2: skipped, its loss or gradient is not finite" in error
    assert "loss 1.0000" in error


def test_a_bar_without_a_step_is_not_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    with _Display(Console(stderr=True), 3) as display:
        display.validated(0, {"vocals": 1.0})
    assert capfd.readouterr().err == "step 0: vocals 1.00 dB (mean whole-track SDR)\n"


@pytest.mark.parametrize(
    "options", [("--seed", -1), ("--seed", 2**32), ("--resume", "--init", "unet")]
)
def test_options_that_no_run_can_have_are_wrong_usage(
    unmix: Unmix, recipe: Path, tmp_path: Path, options: tuple[object, ...]
) -> None:
    outcome = unmix("train", recipe, "--data", tmp_path / "data", "-o", tmp_path / "r", *options)
    assert outcome.code == 2


def test_a_run_below_a_file_is_one_line(unmix: Unmix, recipe: Path, tmp_path: Path) -> None:
    options = ("--data", tmp_path / "data", "--workers", 0, "--device", "cpu")
    outcome = unmix("train", recipe, *options, "-o", recipe / "run")
    assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
    assert "the folder cannot be created" in outcome.errors[0]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_signal_to_all_processes_loses_no_step(recipe: Path, tmp_path: Path) -> None:
    """As Slurm and timeout send it: loader workers receive it too."""
    recipe.write_text(recipe.read_text().replace("steps = 20", "steps = 1000000"))
    options = ["--data", tmp_path / "data", "-o", tmp_path / "run", "--workers", 2]
    options += ["--device", "cpu"]
    with subprocess.Popen(
        [sys.executable, "-m", "unmix", "train", str(recipe), *map(str, options)],
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    ) as process:
        until = time.monotonic() + 120
        while not (tmp_path / "run" / "log.csv").exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        last = tmp_path / "run" / "last.ckpt"
        assert not last.exists()
        os.killpg(process.pid, signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.decode().splitlines()[-1] == f"Interrupted: --resume continues from {last}."
    assert b"Traceback" not in err
    assert load_checkpoint(last)["step"] >= 10
