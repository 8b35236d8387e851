"""Weights travel whole: what is saved is loaded, and what is damaged is refused."""

from pathlib import Path

import pytest
import torch

from unmix import manifest, weights
from unmix.errors import ModelError
from unmix.manifest import find_model, list_models, read_manifest
from unmix.models import Model, build
from unmix.weights import load_model, name_of, save_weights

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


def test_what_is_saved_is_loaded(model: Model, saved: Path) -> None:
    mixture = torch.randn(1, 2, 500)
    for source in (saved, saved.parent, str(saved)):
        loaded = load_model(source)
        assert not loaded.training
        assert loaded.config == model.config
        with torch.inference_mode():
            assert torch.equal(loaded(mixture), model(mixture))


def test_half_precision_on_disk_is_full_precision_in_use(model: Model, tmp_path: Path) -> None:
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
        (garbled, "says of no architecture"),
        (foreign, "says of no architecture"),
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
    for module in (manifest, weights):
        monkeypatch.setattr(module, "list_models", lambda: [entry])
    with pytest.raises(ModelError, match="does not match the manifest's sha256"):
        load_model("fake")


def test_a_released_name_wins_over_a_folder_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()
    assert load_model("default").stems == load_model(list_models()[0].name).stems
    assert name_of("default") == list_models()[0].name


def test_models_are_called_by_their_file(saved: Path) -> None:
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
