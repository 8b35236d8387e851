"""``train`` and ``evaluate``: devices, interrupts, logs and tables; no model is trained."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from unmix.cli.train import _Display
from unmix.training.loop import Run

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
def test_an_interrupt_is_one_line_that_says_how_to_go_on(
    unmix: Unmix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: bool
) -> None:
    devices = []

    def stop(run: Run, *_: object) -> None:
        devices.append(run.device)
        if saved:
            run.last.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("unmix.training.loop.train", stop)
    monkeypatch.setattr("unmix.training.validation.find_tracks", lambda *_: [])
    outcome = unmix("train", "unet", "--data", tmp_path, "-o", tmp_path / "run", "--device", "cpu")
    assert outcome.code == 130
    last = tmp_path / "run" / "last.ckpt"
    text = f"--resume goes on from {last}" if saved else "nothing to --resume"
    assert outcome.err.splitlines()[-1] == f"Interrupted: {text}."
    assert devices == ["cpu"]


def test_steps_that_a_resumed_run_repeats_are_logged_once(tmp_path: Path) -> None:
    for first, last in ((1, 45), (26, 60)):  # stopped at 45, resumed from the checkpoint of 25
        with _Display(Console(quiet=True), tmp_path, 60) as display:
            for step in range(first, last + 1):
                display.step(step, float(first), 1e-3, 1.0)
                if step % 20 == 0:
                    display.validated(step, {"vocals": float(first)})
        if first == 1:
            with (tmp_path / "log.csv").open("a") as log:
                log.write("5")  # cut in the middle of a row
    with (tmp_path / "log.csv").open() as log:
        rows = list(csv.DictReader(log))
    assert [row["step"] for row in rows] == ["10", "20", "30", "40", "50", "60"]
    assert [row["loss"] for row in rows] == ["1.000000"] * 2 + ["26.000000"] * 4
    scores = (tmp_path / "scores.csv").read_text().split()
    assert scores == ["step,vocals", "20,1.0000", "40,26.0000", "60,26.0000"]


def test_scores_are_a_table_or_json_and_nothing_else(
    unmix: Unmix, make_song: MakeSong, tmp_path: Path
) -> None:
    track = tmp_path / "data" / "track"
    track.mkdir(parents=True)
    make_song(track / "vocals.wav", seconds=1.5, sample_rate=8000)
    make_song(track / "accompaniment.wav", seconds=1.5, sample_rate=8000, peak=0.3)
    plain = unmix("evaluate", "--data", tmp_path / "data", "--model", "mixture")
    assert (plain.code, plain.err) == (0, "")
    assert "whole track" in plain.out
    document = unmix("evaluate", "--data", tmp_path / "data", "--model", "mixture", "--json")
    assert (document.code, document.err) == (0, "")
    assert json.loads(document.out)["model"] == "mixture"
