"""Every model of the package can be trained anew: its stages are recipes, run in their order."""

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tools.release import retrain
from unmix import cli
from unmix.errors import UnmixError
from unmix.models import build
from unmix.recipes.reading import find_recipe
from unmix.training.config import read_recipe
from unmix.training.growing import grow
from unmix.weights.manifest import ModelEntry, list_models


@pytest.fixture
def staged() -> ModelEntry:
    return next(model for model in list_models() if len(model.stages) > 1)


@pytest.mark.parametrize("model", list_models(), ids=lambda model: model.name)
def test_stages_are_recipes_of_its_network_and_the_last_is_the_cards(model: ModelEntry) -> None:
    released = read_recipe(model.weights.parent / "config.toml")
    assert read_recipe(find_recipe(model.stages[-1])).model_dump() == released.model_dump()
    recipes = [read_recipe(find_recipe(stage)) for stage in model.stages]
    for recipe in recipes:
        assert recipe.architecture == model.architecture
    for recipe, after in pairwise(recipes):
        assert after.train
        assert recipe.model == after.model or after.train.grow
        if recipe.model != after.model:
            smaller, larger = (
                build(each.architecture, each.model | each.smoke | {"width": each.model["width"]})
                for each in (recipe, after)
            )
            grow(smaller, larger)


def test_a_stage_starts_from_the_one_before_and_goes_on_where_it_was_cut(
    staged: ModelEntry, tmp_path: Path
) -> None:
    options = argparse.Namespace(
        data=Path("DATA"), out=tmp_path, steps=None, workers=1, device="cpu"
    )
    first, second = staged.stages[:2]
    initial = [str(part) for part in ("--init", tmp_path / first / "last.ckpt")]
    begun = list(retrain.commands(staged, options))
    assert [command[:2] for command in begun] == [["train", stage] for stage in staged.stages]
    assert "--init" not in begun[0]
    assert begun[1][-2:] == initial
    (tmp_path / first).mkdir()
    (tmp_path / first / "last.ckpt").touch()
    cut = list(retrain.commands(staged, options))
    assert cut[0][-1] == "--resume"
    assert cut[1][-2:] == initial
    (tmp_path / second).mkdir()
    (tmp_path / second / "last.ckpt").touch()
    again = list(retrain.commands(staged, options))
    assert all(command[-1] == "--resume" for command in again[:2])


def test_stages_run_until_one_fails(
    staged: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []
    codes = [0, 3]

    def run(command: list[str]) -> None:
        called.append(command)
        raise SystemExit(codes[len(called) - 1])

    monkeypatch.setattr(cli, "main", run)
    arguments = ["retrain.py", staged.name, "--data", str(tmp_path), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as end:
        retrain.main()
    assert end.value.code == 3
    assert [command[1] for command in called] == list(staged.stages[:2])


def test_a_model_that_nobody_knows_how_to_train_is_refused(staged: ModelEntry) -> None:
    options = argparse.Namespace(data=Path(), out=Path(), steps=None, workers=1, device="cpu")
    with pytest.raises(UnmixError, match="does not say how"):
        list(retrain.commands(staged.model_copy(update={"stages": ()}), options))


def test_a_model_that_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["retrain.py", "nobody", "--data", str(tmp_path), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert retrain.main() == 1
    assert "nobody" in capsys.readouterr().err
