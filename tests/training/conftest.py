"""Fixtures for the tests of training: small tracks, small recipes and a listener."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from unmix.config import validate
from unmix.training.checkpoint import load_checkpoint
from unmix.training.config import Recipe, training_of
from unmix.training.run import Run

UNET = {
    "sample_rate": 8000,
    "n_fft": 128,
    "hop_length": 32,
    "frames": 32,
    "width": 4,
    "depth": 2,
}
#: A model of samples, which consumes context.
WAVE = {
    "sample_rate": 8000,
    "audio_channels": 1,
    "depth": 3,
    "width": 8,
    "valid": True,
    "output_samples": 2000,
}
TRAIN = {
    "steps": 30,
    "batch_size": 2,
    "warmup": 5,
    "precision": "32-true",
    "validate_every": 10,
    "checkpoint_minutes": 1000,
    "corpora": [{"path": "songs", "vocals": 1, "accompaniment": 1, "coherent": 1}],
}
MakeRun = Callable[..., Run]
PROGRAM = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from unmix.training.config import Recipe
from unmix.training.logs import CsvLog
from unmix.training.loop import Run, train
recipe = Recipe.model_validate_json(Path(sys.argv[1]).read_text())
data, out = map(Path, sys.argv[2:])
run = Run(recipe=recipe, train=recipe.train, data=data, out=out, workers=0, device="cpu")
train(run, CsvLog(out))
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on many threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Log:
    """A listener that records all calls, and stops the loop at a given step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.scores: list[dict[str, float]] = []
        self.stop_at = stop_at

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        self.losses.append(loss)
        self.rates.append(learning_rate)
        if step == self.stop_at:
            raise KeyboardInterrupt

    def validated(self, step: int, scores: dict[str, float]) -> None:
        self.scores.append(scores)

    def saved(self, path: Path) -> None:
        assert path.is_file()


@pytest.fixture(scope="session")
def program() -> str:
    """A program that trains a recipe: its arguments are the recipe as JSON, data and out."""
    return PROGRAM


@pytest.fixture(scope="session")
def same_bits() -> Callable[[Path, Path], None]:
    """Assert that two checkpoints have the same step and the same weights to the bit."""

    def compare(a: Path, b: Path) -> None:
        first, second = load_checkpoint(a), load_checkpoint(b)
        assert first["step"] == second["step"]
        for part in ("model", "average"):
            for name, value in first[part].items():
                assert torch.equal(value, second[part][name]), name

    return compare


@pytest.fixture
def train_in_two(tmp_path: Path) -> Callable[[Run, str], None]:
    """Train in two processes, each of which runs a program with recipe (JSON), data and out."""

    def launch(run: Run, program: str) -> None:
        recipe, script = tmp_path / "recipe.json", tmp_path / "script.py"
        recipe.write_text(run.recipe.model_dump_json())
        script.write_text(program)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        done = subprocess.run(
            [*command, "--nproc-per-node=2", *map(str, (script, recipe, run.data, run.out))],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return launch


@pytest.fixture(scope="session")
def log() -> type[Log]:
    return Log


@pytest.fixture(scope="session")
def songs_of_sines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs of 2 s with four stems, a sine each, in the folder ``songs`` of a data folder."""
    data = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for song in range(2):
        folder = data / "songs" / str(song)
        folder.mkdir(parents=True)
        for stem, frequency in (("vocals", 440), ("drums", 150), ("bass", 60), ("other", 900)):
            samples = 0.2 * np.sin(2 * np.pi * frequency * np.arange(16000) / 8000)
            samples += 0.001 * random.standard_normal(16000)
            soundfile.write(folder / f"{stem}.wav", samples, 8000)
    return data


@pytest.fixture
def make_run(songs_of_sines: Path, tmp_path: Path) -> MakeRun:
    """Make a run of a small model, in the folder ``out`` of ``tmp_path``.

    What is given by name goes into the recipe's table [train].
    """

    def make(
        out: str = "out",
        *,
        architecture: str = "unet",
        model: dict[str, Any] | None = None,
        resume: bool = False,
        init: str | None = None,
        **changes: Any,
    ) -> Run:
        settings = (WAVE if architecture == "wave-unet" else UNET) | (model or {})
        table = {"architecture": architecture, "model": settings, "train": TRAIN | changes}
        recipe = validate(Recipe, table, "test")
        return Run(
            recipe=recipe,
            train=training_of(recipe, "test"),
            data=songs_of_sines,
            out=tmp_path / out,
            workers=0,
            device="cpu",
            resume=resume,
            init=init,
        )

    return make
