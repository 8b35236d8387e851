"""Laws of all augmentations: shape, silence, randomness, and which items change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from unmix.audio import open_audio
from unmix.config import validate
from unmix.errors import ConfigError
from unmix.training.augment import AugmentConfig, augment, band_after
from unmix.training.loop import train
from unmix.training.run import Run

RATE = 8000
STEMS = ("vocals", "drums", "bass", "other")
EACH: dict[str, dict[str, Any]] = {
    "remix": {"remix": {"share": 1}},
    "blend": {"blend": {"share": 1}},
    "playback": {"playback": {"share": 1}},
    "pitch": {"pitch": {"share": 1}},
    "equaliser": {"equaliser": {"share": 1}},
    "saturation": {"saturation": {"share": 1}},
    "compression": {"voice": {"compression": {"share": 1}}},
    "doubling": {"voice": {"doubling": {"share": 1}}},
    "reverb": {"voice": {"reverb": {"share": 1}}},
    "image": {"image": {"share": 1}},
    "gain": {"gain": {"share": 1}},
    "swap": {"channels": {"swap": 0.5}},
    "invert": {"channels": {"invert": 0.5}},
    "limiter": {"delivery": {"limiter": {"share": 1}}},
    "band": {"delivery": {"band": {"share": 1, "cutoff": [1000, 2000]}}},
    "codec": {"delivery": {"codec": {"share": 1, "cutoff": [1000, 2000]}}},
}
ALL = {
    "playback": {"share": 1},
    "pitch": {"share": 1},
    "equaliser": {"share": 1},
    "saturation": {"share": 1},
    "voice": {name: {"share": 1} for name in ("compression", "doubling", "reverb")},
    "delivery": {name: {"share": 1} for name in ("limiter", "band", "codec")},
    **{name: EACH[name][name] for name in ("remix", "blend", "image", "gain")},
    "channels": {"swap": 0.5, "invert": 0.5},
}
#: What is done to a mixture: to all its stems alike.
OF_MIXTURES = ("playback", "limiter", "band", "codec")
VOICES = ("compression", "doubling", "reverb")


def _config(table: dict[str, Any]) -> AugmentConfig:
    return validate(AugmentConfig, table, "test")


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _batch(items: int = 4, stems: int = 4, channels: int = 2, length: int = 6000) -> Tensor:
    """Return noise that fades in and out, so that time matters."""
    noise = torch.randn(items, stems, channels, length, generator=_seed(1))
    return 0.2 * noise * torch.linspace(0, 12, length).sin()


def _augmented(references: Tensor, table: dict[str, Any], seed: int = 0) -> Tensor:
    stems = STEMS[: references.shape[1]]
    return augment(references, stems, RATE, _config(table), _seed(seed))


def test_by_default_nothing_is_done_and_nothing_drawn() -> None:
    generator, references = _seed(), _batch()
    state = generator.get_state()
    assert augment(references, STEMS, RATE, AugmentConfig(), generator) is references
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("table", [*EACH.values(), ALL], ids=[*EACH, "all"])
def test_it_follows_from_the_seed_and_changes_nothing_in_place(table: dict[str, Any]) -> None:
    references = _batch()
    before = references.clone()
    once, again, other = (_augmented(references, table, seed) for seed in (3, 3, 4))
    assert torch.equal(references, before)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.equal(once, references)


@pytest.mark.parametrize("table", [*EACH.values(), ALL], ids=[*EACH, "all"])
@pytest.mark.parametrize("length", [1, 2, 37, 1000, 5000])
@pytest.mark.parametrize(("items", "stems", "channels"), [(1, 2, 1), (3, 4, 2)])
def test_shape_is_kept_and_all_stays_finite(
    table: dict[str, Any], length: int, items: int, stems: int, channels: int
) -> None:
    references = _batch(items, stems, channels, length)
    references[0, 0] = 0
    if channels != 2:
        table = {name: settings for name, settings in table.items() if name != "image"}
    for scale in (1e-20, 1e-6, 1.0, 1e4):
        augmented = _augmented(references * scale, table)
        assert augmented.shape == references.shape
        assert augmented.dtype == references.dtype
        assert augmented.isfinite().all()


@pytest.mark.parametrize("table", [*EACH.values(), ALL], ids=[*EACH, "all"])
def test_silence_stays_silence(table: dict[str, Any]) -> None:
    assert not _augmented(torch.zeros(3, 4, 2, 3000), table).any()


@pytest.mark.parametrize("name", [name for name in EACH if name != "remix"])
def test_a_silent_stem_stays_silent_beside_others(name: str) -> None:
    references = _batch()
    references[:, 0] = 0
    augmented = _augmented(references, EACH[name])
    assert not augmented[:, 0].any()


@pytest.mark.parametrize("name", OF_MIXTURES)
def test_the_stems_sum_to_the_mixture_that_is_changed_likewise(name: str) -> None:
    references = _batch()
    alone = torch.zeros_like(references)
    alone[:, 0] = references.sum(1)
    mixture = _augmented(alone, EACH[name])[:, 0]
    torch.testing.assert_close(_augmented(references, EACH[name]).sum(1), mixture)


@pytest.mark.parametrize("name", VOICES)
def test_what_is_done_to_voices_leaves_the_rest_alone(name: str) -> None:
    references = _batch()
    augmented = _augmented(references, EACH[name])
    assert torch.equal(augmented[:, 1:], references[:, 1:])
    assert not torch.equal(augmented[:, 0], references[:, 0])
    with pytest.raises(ConfigError, match="needs the stem vocals; the stems are drums, residual"):
        augment(references[:, :2], ("drums", "residual"), RATE, _config(EACH[name]), _seed())


def test_a_share_of_the_items_is_changed_and_the_others_stay_as_they_are() -> None:
    references = _batch(items=500, stems=2, length=10)
    augmented = _augmented(references, {"gain": {"share": 0.3}})
    changed = (augmented != references).flatten(1).any(1)
    assert 0.2 < changed.float().mean() < 0.4


def test_items_are_changed_each_in_its_own_way() -> None:
    references = _batch(items=1).expand(4, -1, -1, -1)
    augmented = _augmented(references, {"equaliser": {"share": 1}})
    assert all(not torch.equal(augmented[0], other) for other in augmented[1:])


def test_a_real_song_goes_through_everything(excerpt: Any) -> None:
    with open_audio(excerpt) as reader:
        rate = reader.sample_rate
        song = torch.from_numpy(next(iter(reader.blocks())))[:, : 2 * rate]
    references = torch.stack([song * 0.4, song.flip(1) * 0.6])[None].repeat(2, 1, 1, 1)
    names = ("vocals", "accompaniment")
    augmented = augment(references, names, rate, _config(ALL), _seed())
    assert augmented.shape == references.shape
    assert augmented.isfinite().all()
    # Loudness ends within what the limiter was asked for, or a little below.
    level = 20 * augmented.sum(1).square().mean((1, 2)).sqrt().log10()
    assert (level > -24).all()
    assert (level < -7).all()


def test_bands_follow_what_may_become_of_them() -> None:
    band = torch.tensor([7800.0, 22050.0])
    assert torch.equal(band_after(band, AugmentConfig()), band)
    gained = _config({"gain": {"share": 1}, "delivery": {"codec": {"share": 1}}})
    assert torch.equal(band_after(band, gained), band)
    for name in ("remix", "blend"):
        assert band_after(band, _config(EACH[name])).tolist() == [7800, 7800]
    slower = _config({"playback": {"share": 1, "speed": [0.5, 2]}})
    torch.testing.assert_close(band_after(band, slower), band / 2)
    lower = _config({"pitch": {"share": 1, "semitones": [-12, 12]}})
    torch.testing.assert_close(band_after(band, lower), band / 2)
    higher = _config({"playback": {"share": 1, "speed": [1.1, 1.2]}})
    torch.testing.assert_close(band_after(band, higher), band)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"gain": {"share": 1.5}}, "gain.share"),
        ({"gain": {"decibels": [6, -6]}}, "the first number of a range"),
        ({"playback": {"speed": [0, 1]}}, "above 0"),
        ({"image": {"width": [-1, 1]}}, "not go below 0"),
        ({"reverb": {"share": 1}}, "unknown key; choose from remix"),
        ({"voice": {"doubling": {"voices": 0}}}, "voice.doubling.voices"),
    ],
)
def test_settings_that_make_no_sense_are_refused(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        _config(table)


def test_what_is_not_stereo_has_no_image() -> None:
    with pytest.raises(ConfigError, match="needs 2 audio channels, but the model has 1"):
        _augmented(_batch(channels=1), {"image": {"share": 1e-9}})


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("table", EACH.values(), ids=EACH)
def test_a_gpu_does_the_same(table: dict[str, Any]) -> None:
    references = _batch()
    here, there = _augmented(references, table), _augmented(references.cuda(), table).cpu()
    # Not to the last bit: what a codec rounds up here it may round down there.
    assert (there - here).square().mean() < 1e-4 * here.square().mean()


def test_a_run_trains_on_augmented_batches_alike_however_it_was_cut(
    make_run: Callable[..., Run], log: Callable[..., Any]
) -> None:
    settings = {"augment": {"gain": {"share": 1}, "voice": {"reverb": {"share": 0.5}}}, "steps": 6}
    plain, whole = log(), log()
    train(make_run("plain", steps=6), plain)
    train(make_run("whole", **settings), whole)
    assert plain.losses != whole.losses
    cut, rest = make_run("cut", **settings), log()
    with pytest.raises(KeyboardInterrupt):
        train(cut, log(stop_at=3))
    train(replace(cut, resume=True), rest)
    assert rest.losses == whole.losses[3:]


def test_a_run_of_a_model_without_vocals_knows_what_the_rest_is(
    make_run: Callable[..., Run], log: Callable[..., Any]
) -> None:
    settings = {"augment": {"voice": {"doubling": {"share": 1}}}, "steps": 2}
    train(make_run("backing", model={"stems": ["accompaniment"]}, **settings), log())
    with pytest.raises(ConfigError, match="needs the stem vocals; the stems are drums, residual"):
        train(make_run("drums", model={"stems": ["drums"]}, **settings), log())
