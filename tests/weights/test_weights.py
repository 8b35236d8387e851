"""Weights on disk: saved models load as they were, and damaged files are refused."""

import os
from pathlib import Path

import pytest
import torch

from unmix import Separator
from unmix.errors import ModelError, UnmixError
from unmix.models import Model, build
from unmix.recipes.reading import recipes
from unmix.storage import cache_folder
from unmix.training.config import read_recipe
from unmix.weights import manifest
from unmix.weights.cache import cached_names, read_cached, record_sha256, weights_path
from unmix.weights.load import load_model, name_of, save_weights
from unmix.weights.manifest import find_model, find_weights, list_models, read_manifest

pytestmark = pytest.mark.usefixtures("cache")

CONFIG = {"n_fft": 64, "hop_length": 16, "frames": 8, "width": 2, "depth": 2, "stems": ["vocals"]}


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return build("unet", CONFIG).eval()


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_weights(path, "unet", CONFIG, model.state_dict(), licence="none")
    return path


def test_a_saved_model_loads_as_it_was(model: Model, saved: Path) -> None:
    mixture = torch.randn(1, 2, 500)
    for source in (saved, saved.parent, str(saved)):
        loaded = load_model(source)
        assert not loaded.training
        assert loaded.config == model.config
        with torch.inference_mode():
            assert torch.equal(loaded(mixture), model(mixture))


def test_half_precision_on_disk_is_single_precision_in_use(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    half = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_weights(path, "unet", CONFIG, half, licence="none")
    assert {p.dtype for p in load_model(path).parameters()} == {torch.float32}


def test_damage_is_refused_with_the_files_name(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not a readable safetensors") as caught:
        load_model(saved)
    assert str(saved) in str(caught.value)


def test_weights_that_do_not_fit_are_refused(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, "unet", {**CONFIG, "width": 4}, model.state_dict(), licence="none")
    with pytest.raises(ModelError, match="does not fit"):
        load_model(path)
    state = dict(model.state_dict())
    state.popitem()
    save_weights(path, "unet", CONFIG, state, licence="none")
    with pytest.raises(ModelError, match="does not fit"):
        load_model(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    pickled = tmp_path / "evil.ckpt"
    torch.save({"recipe": Path("x")}, pickled)
    garbled = tmp_path / "garbled.safetensors"
    save_file({"a": torch.zeros(1)}, garbled, {"architecture": "unet", "config": "{"})
    for path, message in (
        (garbled, "it names no architecture"),
        (foreign, "it names no architecture"),
        (pickled, "not a checkpoint"),
        (tmp_path / "none.ckpt", "no such"),
        (tmp_path / "none.safetensors", "no such"),
        (tmp_path, "no such"),
    ):
        with pytest.raises(ModelError, match=message):
            load_model(path)


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ModelError, match="unknown model 'nope'; choose from"):
        load_model("nope")


def test_weights_other_than_the_manifests_are_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = list_models()[0].model_copy(update={"name": "fake"})
    folder = saved.parent / "fake"
    folder.mkdir()
    saved.rename(folder / "weights.safetensors")
    monkeypatch.setattr(manifest, "pretrained", lambda: saved.parent)
    monkeypatch.setattr(manifest, "list_models", lambda: [entry])
    with pytest.raises(ModelError, match="does not match its recorded sha256; reinstall"):
        load_model("fake")


def test_a_released_name_wins_over_a_folder_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()
    assert load_model("default").stems == load_model(list_models()[0].name).stems
    assert name_of("default") == list_models()[0].name


def test_models_are_named_by_their_file(saved: Path) -> None:
    assert name_of(str(saved)) == name_of(saved.parent) == saved.parent.name
    assert name_of("runs/mine/best.ckpt") == "best"


@pytest.mark.parametrize("entry", read_manifest().models, ids=lambda entry: entry.name)
def test_every_released_model_is_what_the_manifest_says(entry: manifest.ModelEntry) -> None:
    assert find_model(entry.name) == entry
    model = load_model(entry.name)
    assert sum(p.numel() for p in model.parameters()) == entry.parameters
    assert entry.weights.stat().st_size == entry.size <= 25 * 2**20
    assert model.sample_rate == entry.sample_rate
    assert model.audio_channels == entry.audio_channels
    assert set(model.stems) <= set(entry.stems)
    assert entry.scores
    assert entry.licence
    card = (entry.weights.parent / "card.md").read_text(encoding="utf-8")
    for heading in ("Data and its licence", "Training", "Scores", "Known failures", "How to cite"):
        assert f"## {heading}" in card
    assert entry.sha256 in card
    assert (entry.weights.parent / "config.toml").is_file()


def test_there_is_a_default_model() -> None:
    assert find_model("default") == list_models()[0]


def _put(name: str, model: Model) -> Path:
    path = weights_path(name)
    config = model.config.model_dump(mode="json")
    digest = save_weights(path, "unet", config, model.state_dict(), "MIT", {"origin": "a shop"})
    record_sha256(path, digest)
    return path


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"UNMIX_CACHE": "/a/b", "XDG_CACHE_HOME": "/c"}, Path("/a/b")),
        ({"UNMIX_CACHE": "", "XDG_CACHE_HOME": "/c"}, Path("/c/unmix")),
        ({"UNMIX_CACHE": "~/b"}, Path.home() / "b"),
        ({"UNMIX_CACHE": "b"}, Path.cwd() / "b"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: Path
) -> None:
    for name in ("UNMIX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder().name == "unmix"
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected


def test_models_in_the_cache_go_by_their_names(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _put("mine.v2", model)
    (tmp_path / "mine.v2").mkdir()
    monkeypatch.chdir(tmp_path)
    mixture = torch.randn(1, 2, 500)
    with torch.inference_mode():
        assert torch.equal(load_model("mine.v2")(mixture), model(mixture))
    assert name_of("mine.v2") == "mine.v2"
    assert Separator("mine.v2").model_name == "mine.v2"
    assert cached_names() == ["mine.v2"]
    said = read_cached("mine.v2")
    assert (said.path, said.stems, said.licence) == (path, ("vocals",), "MIT")
    assert (said.origin, said.size) == ("a shop", path.stat().st_size)
    with pytest.raises(ModelError, match=r"choose from .*unet, .*mine\.v2"):
        load_model("nope")


def test_damage_in_the_cache_names_the_remedy(model: Model) -> None:
    path = _put("mine", model)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        ModelError, match=r"recorded sha256; remove .*mine, then download or import"
    ):
        load_model("mine")
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="damaged, or not written by"):
        read_cached("mine")


def test_a_published_model_that_is_not_here_says_how_to_get_it(cache: Path) -> None:
    place = cache / "models" / "spleeter-2stems" / "weights.safetensors"
    with pytest.raises(ModelError) as caught:
        Separator("spleeter-2stems")
    assert "run `unmix models download spleeter-2stems`" in str(caught.value)
    assert str(place) in str(caught.value)
    with pytest.raises(ModelError, match=r"7z archive: .*unmix models import"):
        load_model("wave-unet-strided")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", ".a", "a.ckpt", "a.safetensors", "a."])
def test_a_name_must_be_possible_for_a_folder(name: str) -> None:
    with pytest.raises(ModelError, match="cannot be a model's name"):
        weights_path(name)


def test_the_manifests_are_read_once(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    (tmp_path / "manifest.toml").write_text("models = []")
    (tmp_path / "published.toml").write_text("models = []")
    real = manifest.read_toml

    def count(path: Path) -> dict[str, object]:
        read.append(path)
        return real(path)

    monkeypatch.setattr(manifest, "pretrained", lambda: tmp_path)
    monkeypatch.setattr(manifest, "read_toml", count)
    _put("mine", model)
    for _ in range(2):
        Separator("mine")
        name_of("mine")
    assert read == [tmp_path / "manifest.toml"]
    (tmp_path / "manifest.toml").write_text("models = [ ]")
    os.utime(tmp_path / "manifest.toml", (1, 1))
    assert find_weights("mine")
    assert len(read) == 2


def test_settings_override_those_in_the_file(saved: Path) -> None:
    assert load_model(saved).config.model_dump()["wiener"] == 0
    assert load_model(saved, settings={"wiener": 2}).config.model_dump()["wiener"] == 2
    assert Separator(saved, wiener=3).model.config.model_dump()["wiener"] == 3
    filtered = saved.with_name("filtered.safetensors")
    model = load_model(saved, settings={"wiener": 2})
    save_weights(filtered, "unet", model.config.model_dump(), model.state_dict(), licence="none")
    assert Separator(filtered).model.config.model_dump()["wiener"] == 2
    assert Separator(filtered, wiener=0).model.config.model_dump()["wiener"] == 0
    with pytest.raises(ModelError, match="unet has no setting nonsense"):
        load_model(saved, settings={"nonsense": 1})


def test_the_wiener_filter_is_for_models_that_have_it(model: Model, tmp_path: Path) -> None:
    recipe = read_recipe(recipes()["wave-unet-m1"])
    config = recipe.model | recipe.smoke
    path = tmp_path / "wave.safetensors"
    waves = build(recipe.architecture, config)
    save_weights(path, recipe.architecture, config, waves.state_dict(), licence="none")
    with pytest.raises(UnmixError, match="wave-unet has no setting wiener"):
        Separator(path, wiener=1)
    with pytest.raises(UnmixError, match="set it in this model's config"):
        Separator(model, wiener=1)
