"""A recipe extends another one: tables merge, all else is replaced, and mistakes are named."""

import math
import re
import tomllib
from pathlib import Path

import pytest

from unmix.errors import ConfigError
from unmix.recipes.reading import (
    find_architecture,
    find_recipe,
    read_recipe_tables,
    recipes,
    resolved_text,
)
from unmix.training.config import read_recipe

FOLDER = recipes()["unet"].parent
PARENT = """
architecture = "unet"
[model]
width = 16
stems = ["vocals"]
[train]
steps = 10
loss = { magnitude = 0.3, complex = 0.7 }
[train.augment.gain]
share = 0.5
[[train.corpora]]
path = "a"
vocals = 1.0
[[train.corpora]]
path = "b"
"""
CHILD = """
extends = "parent.toml"
[model]
stems = ["drums", "bass"]
[train]
seed = 3
loss.magnitude = 0.5
[train.augment]
pitch.share = 0.1
[[train.corpora]]
path = "c"
"""


def _write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def test_tables_merge_and_all_else_is_replaced(tmp_path: Path) -> None:
    _write(tmp_path, parent=PARENT, child=CHILD)
    assert read_recipe_tables(tmp_path / "child.toml") == {
        "architecture": "unet",
        "model": {"width": 16, "stems": ["drums", "bass"]},
        "train": {
            "steps": 10,
            "seed": 3,
            "loss": {"magnitude": 0.5, "complex": 0.7},
            "augment": {"gain": {"share": 0.5}, "pitch": {"share": 0.1}},
            "corpora": [{"path": "c"}],
        },
    }


def test_a_grandparent_is_merged_first(tmp_path: Path) -> None:
    """Paths are relative to the file that names them."""
    (tmp_path / "old").mkdir()
    _write(
        tmp_path / "old", grandparent=PARENT, parent='extends = "grandparent.toml"\nmodel.width = 8'
    )
    _write(tmp_path, child='extends = "old/parent.toml"\ntrain.steps = 20')
    tables = read_recipe_tables(tmp_path / "child.toml")
    assert (tables["model"]["width"], tables["train"]["steps"]) == (8, 20)
    assert tables["train"]["loss"] == {"magnitude": 0.3, "complex": 0.7}


@pytest.mark.parametrize("name", ["unet", "_published"])
def test_a_recipe_of_ones_own_extends_one_of_the_package(name: str, tmp_path: Path) -> None:
    _write(tmp_path, mine=f'extends = "{name}"\n[model]\nwidth = 8\n[train]\nsteps = 7')
    theirs, mine = (
        read_recipe_tables(FOLDER / f"{name}.toml"),
        read_recipe_tables(tmp_path / "mine.toml"),
    )
    assert mine.pop("model") == theirs.pop("model", {}) | {"width": 8}
    assert mine.pop("train") == theirs.pop("train") | {"steps": 7}
    assert mine == theirs


def test_everything_that_reads_a_recipe_reads_what_it_extends(tmp_path: Path) -> None:
    _write(tmp_path, mine='extends = "unet"\n[model]\nwidth = 8')
    path = tmp_path / "mine.toml"
    recipe, choice = read_recipe(path), find_architecture(str(path))
    assert recipe.architecture == choice.architecture == "unet"
    assert recipe.model == choice.model == read_recipe(recipes()["unet"]).model | {"width": 8}
    assert recipe.train == read_recipe(recipes()["unet"]).train


@pytest.mark.parametrize(
    ("texts", "circle"),
    [
        ({"a": 'extends = "a.toml"'}, ["a", "a"]),
        ({"a": 'extends = "b.toml"', "b": 'extends = "../x/a.toml"'}, ["a", "b", "a"]),
    ],
)
def test_a_circle_is_refused(texts: dict[str, str], circle: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    _write(folder, **texts)
    files = " extends ".join(rf"\S*{name}\.toml" for name in circle)
    with pytest.raises(ConfigError, match=f"^{files}: a recipe cannot extend itself") as raised:
        read_recipe_tables(folder / "a.toml")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere.toml", "nothing", "../../../nothing", ""])
def test_a_missing_parent_is_named(name: str, tmp_path: Path) -> None:
    _write(tmp_path, a=f'extends = "{name}"')
    with pytest.raises(ConfigError, match=rf"a\.toml: extends '{re.escape(name)}', which does not"):
        read_recipe_tables(tmp_path / "a.toml")


def test_one_recipe_is_extended_at_a_time(tmp_path: Path) -> None:
    _write(tmp_path, a='extends = ["unet", "_published"]')
    with pytest.raises(ConfigError, match=r"a\.toml: extends: expected the name of one recipe"):
        read_recipe_tables(tmp_path / "a.toml")


@pytest.mark.parametrize("where", ["parent", "child"])
def test_an_unknown_key_is_refused_on_either_side(where: str, tmp_path: Path) -> None:
    texts = {"parent": 'extends = "unet"\n', "child": 'extends = "parent.toml"\n'}
    texts[where] += "[train]\nstepz = 3"
    _write(tmp_path, **texts)
    with pytest.raises(ConfigError, match=r"child\.toml: train\.stepz: unknown key"):
        read_recipe(tmp_path / "child.toml")


def test_files_only_there_to_be_extended_are_no_recipes() -> None:
    bases = {path.stem for path in FOLDER.glob("_*.toml")}
    assert bases
    assert not bases & set(recipes())
    extended = {tomllib.loads(p.read_text("utf-8")).get("extends") for p in FOLDER.glob("*.toml")}
    assert bases <= extended
    with pytest.raises(ConfigError, match="unknown recipe '_published'; choose from"):
        find_recipe("_published")


def test_every_recipe_is_released_whole() -> None:
    """What a release writes beside the weights says the same and extends nothing."""
    for path in recipes().values():
        text = resolved_text(path)
        assert tomllib.loads(text) == read_recipe_tables(path), path
        assert "extends" not in tomllib.loads(text), path
        assert text.startswith("# "), path


def test_any_number_and_any_key_is_released_as_it_is(tmp_path: Path) -> None:
    text = """
    edges = [-inf, 0.0, inf]
    "a key" = inf
    [one."t.w=o"."日本"]
    "" = 1e-7
    rows = [{ "a.b" = 1e300, c = [true, "\\u0001\\""] }]
    [one."#"]
    """
    path = tmp_path / "odd.toml"
    path.write_text(text, encoding="utf-8")
    assert tomllib.loads(resolved_text(path)) == tomllib.loads(text)
    path.write_text("number = nan", encoding="utf-8")
    assert math.isnan(tomllib.loads(resolved_text(path))["number"])


def test_the_readmes_example_is_a_recipe_and_its_files_exist(tmp_path: Path) -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    _write(tmp_path, mine=example)
    train, parent = (
        read_recipe(tmp_path / "mine.toml").train,
        read_recipe(recipes()["tfc-tdf"]).train,
    )
    assert train
    assert parent
    assert train.loss == parent.loss.model_copy(update={"waveform": 0.5})
    assert [corpus.path for corpus in train.corpora] == ["mine/train", "loops"]
    files = re.findall(r"`(unmix/[\w/]+(?:\.py)?)`", text)
    assert files
    assert all((FOLDER.parents[1] / file).exists() for file in files)
