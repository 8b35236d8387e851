"""The experiments on MIR-1K: from clips to a row of the table, in one command."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tools.experiments import mir1k, semisupervised
from tools.release import __main__ as release
from tools.release import manifest
from unmix import Separator
from unmix.config import read_toml, validate
from unmix.recipes.reading import recipes
from unmix.stems import VOCALS
from unmix.training.config import Recipe, read_recipe
from unmix.weights.manifest import Manifest

RATE = 16000
SINGERS = ("abjones", "amy", "bug", "leon", "geniusturtle")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A clip of training singers and of others: a tone in hum."""
    random = np.random.default_rng(0)
    for singer in SINGERS:
        clip = tmp_path / "data" / "mir1k" / singer / f"{singer}_1_01"
        clip.mkdir(parents=True)
        for stem, pitch in (("vocals", 700), ("accompaniment", 120)):
            samples = 0.2 * np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE)
            samples += 0.001 * random.standard_normal(RATE)
            soundfile.write(clip / f"{stem}.wav", samples, RATE)
    return tmp_path / "data"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for runs of the smallest models; the table is a copy."""
    readme = tmp_path / "README.md"
    readme.write_text("<!-- mir1k: a table -->\n<!-- /mir1k -->\n", encoding="utf-8")
    monkeypatch.setattr(mir1k, "TABLE", replace(mir1k.TABLE, path=readme))
    for tool in (mir1k, semisupervised):
        monkeypatch.setattr(tool, "read_recipe", _small)
    return tmp_path / "runs"


def _small(path: Path) -> Recipe:
    recipe = read_recipe(path)
    assert recipe.train
    changes = {"steps": 6, "batch_size": 2, "warmup": 1, "excerpt": 4000}
    return recipe.model_copy(
        update={
            "model": recipe.model | recipe.smoke,
            "train": recipe.train.model_copy(update=changes),
        }
    )


def _call(tool: str, *words: object) -> list[str]:
    return [tool, *map(str, words), "--device", "cpu", "--workers", "0"]


def test_a_row_is_trained_scored_and_written(
    data: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "mir1k-unet"
    command = _call("mir1k", data, "--recipe", name, "--out", run, "--write", "--machine", "here")
    monkeypatch.setattr(sys, "argv", [*command, "--every", "3"])
    assert mir1k.main() == 0
    rows = mir1k.TABLE.rows
    assert rows[name][-1].endswith("here")
    assert "6 steps of 2" in rows[name][-1]
    assert all(np.isfinite(float(cell)) for cell in rows[name][1:7])
    trained = (run / "last.ckpt").stat().st_mtime_ns
    assert mir1k.main() == 0  # scored again, not trained again, nor written twice
    assert (run / "last.ckpt").stat().st_mtime_ns == trained
    assert mir1k.TABLE.rows == rows


@pytest.mark.slow
def test_a_trained_model_is_released(
    data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = _call("mir1k", data, "--recipe", "mir1k-unet", "--out", run, "--every", "3")
    monkeypatch.setattr(sys, "argv", command)
    mir1k.main()
    pretrained = tmp_path / "pretrained"
    pretrained.mkdir()
    (pretrained / "manifest.toml").write_text("", encoding="utf-8")
    readme = pretrained / "README.md"
    readme.write_text("<!-- models: a table -->\n<!-- /models -->\n", encoding="utf-8")
    monkeypatch.setattr(release, "read_recipe", _small)
    monkeypatch.setattr(release, "PRETRAINED", pretrained)
    monkeypatch.setattr(manifest, "PRETRAINED", pretrained)
    monkeypatch.setattr(manifest, "TABLE", replace(manifest.TABLE, path=readme))
    command = ["release", str(run / "last.ckpt"), "--name", "new", "--summary", "A new model."]
    command += ["--recipe", str(recipes()["mir1k-unet"]), "--purpose", "a test", "--licence", "MIT"]
    command += ["--data", str(data), "--singing", "MIR-1K:leon:mir1k/leon", "--default"]
    monkeypatch.setattr(sys, "argv", command)
    assert release.main() == 0
    (entry,) = validate(Manifest, read_toml(pretrained / "manifest.toml"), "manifest").models
    assert (entry.name, entry.purpose, entry.stages) == ("new", "a test", ("mir1k-unet",))
    assert entry.sha256 in (pretrained / "new" / "card.md").read_text(encoding="utf-8")
    assert (pretrained / "new" / "spectrograms.png").is_file()
    assert "| `new` |" in readme.read_text(encoding="utf-8")
    assert Separator(pretrained / "new", device="cpu").model.stems == (VOCALS,)


@pytest.mark.slow
def test_every_way_of_learning_is_scored_from_every_seed(
    data: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = _call("semisupervised", data, "--out", run, "--seeds", 1, 2, "--steps", 2)
    monkeypatch.setattr(sys, "argv", command)
    assert semisupervised.main() == 0
    printed = capsys.readouterr().out
    assert len(list(run.glob("*/last.ckpt"))) == 6
    for way in ("paired alone", "unpaired, critics", "unpaired, mixed"):
        (line,) = (line for line in printed.splitlines() if way in line)
        assert line.count("/") == 3  # two seeds and their mean


def test_only_the_way_with_critics_has_critics_and_only_one_mixes_what_is_unpaired() -> None:
    found = semisupervised.ways(semisupervised._config())
    alone, critics, mixed = found.values()
    assert alone.semi_supervised
    assert critics.semi_supervised
    assert (alone.semi_supervised.alpha, alone.semi_supervised.beta) == (0, 0)
    assert critics.semi_supervised.alpha > 0
    assert [corpus.path for corpus in alone.corpora] == ["mir1k/abjones"]
    (paired, unpaired) = mixed.corpora
    assert set(semisupervised.SINGERS) < set(unpaired.exclude)
    assert unpaired.coherent == 0
    assert paired.vocals == paired.accompaniment == 0
