"""Floors and ceilings are what their formulas say, for any recording, however it is cut."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unmix.data import find_tracks
from unmix.evaluation.systems.baselines import BASELINES, estimate_blocks
from unmix.evaluation.systems.classical import _medians
from unmix.metrics import sdr

Samples = NDArray[np.float32]
RATE = 8000
ORACLES = [name for name, baseline in BASELINES.items() if baseline.oracle]
CLASSICAL = ["hpss", "repet-sim"]


def _noise(*shape: int, seed: int = 0) -> Samples:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def _song(length: int, channels: int = 2) -> tuple[Samples, dict[str, Samples]]:
    """Return a mixture and its two stems."""
    vocals, accompaniment = _noise(2, channels, length, seed=length)
    return vocals + accompaniment, {"vocals": vocals, "accompaniment": accompaniment}


def _estimate(
    name: str,
    mixture: Samples,
    references: dict[str, Samples],
    *,
    piece: float = 3.0,
    cuts: tuple[int, ...] = (),
    sample_rate: int = RATE,
) -> dict[str, Samples]:
    """Return the joined estimates of a recording that comes in blocks."""
    parts = {stem: np.split(samples, cuts, 1) for stem, samples in references.items()}
    blocks = [
        (block, {stem: parts[stem][index] for stem in references})
        for index, block in enumerate(np.split(mixture, cuts, 1))
    ]
    found = list(estimate_blocks(replace(BASELINES[name], piece=piece), blocks, sample_rate))
    return {stem: np.concatenate([some[stem] for some in found], 1) for stem in found[0]}


def _sdr(estimate: Samples, reference: Samples) -> float:
    return float(sdr(estimate=torch.from_numpy(estimate), reference=torch.from_numpy(reference)))


def test_the_mixture_is_every_estimate() -> None:
    mixture, references = _song(10 * RATE + 1)
    for estimate in _estimate("mixture", mixture, references).values():
        assert np.array_equal(estimate, mixture)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("seconds", [2.0, 10.3])
def test_cuts_make_no_difference(name: str, seconds: float) -> None:
    mixture, references = _song(round(seconds * RATE))
    whole = _estimate(name, mixture, references)
    for cuts in [(1, 1, 9000), tuple(range(777, mixture.shape[1], 777))]:
        cut = _estimate(name, mixture, references, cuts=cuts)
        assert list(cut) == list(whole) == ["vocals", "accompaniment"]
        for stem, estimate in whole.items():
            assert estimate.dtype == np.float32
            assert np.array_equal(cut[stem], estimate)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("length", [1, 2, 100, 3 * RATE, 9 * RATE // 2 - 1, 9 * RATE // 2])
@pytest.mark.parametrize("channels", [1, 2])
def test_as_many_samples_come_out_as_go_in(name: str, length: int, channels: int) -> None:
    mixture, references = _song(length, channels)
    for estimate in _estimate(name, mixture, references).values():
        assert estimate.shape == mixture.shape
        assert np.isfinite(estimate).all()


@pytest.mark.parametrize("name", BASELINES)
def test_of_nothing_comes_nothing(name: str) -> None:
    assert list(estimate_blocks(BASELINES[name], [], RATE)) == []
    assert list(estimate_blocks(BASELINES[name], [_song(0)], RATE)) == []


@pytest.mark.parametrize("name", BASELINES)
def test_silence_stays_silent(name: str) -> None:
    silence = np.zeros((2, 5 * RATE), np.float32)
    _, references = _song(5 * RATE)
    for given in (references, dict.fromkeys(references, silence)):
        for estimate in _estimate(name, silence, given).values():
            assert not estimate.any()
    mixture, references = _song(5 * RATE)
    mixture[:, RATE : 4 * RATE] = 0
    for estimate in _estimate(name, mixture, references).values():
        assert np.isfinite(estimate).all()
        # The longest window lasts 0.4 s, and the one after it a little.
        assert np.abs(estimate[:, 3 * RATE // 2 : 7 * RATE // 2]).max() < 1e-6


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(
    "sample_rate",
    [8000, 44100, *(pytest.param(r, marks=pytest.mark.slow) for r in (11025, 16000, 22050, 48000))],
)
def test_every_sample_rate_is_separated(name: str, sample_rate: int) -> None:
    """A steady chord under a siren that comes once: each method has something to tell apart."""
    time = np.arange(4 * sample_rate) / sample_rate
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220.0, 277.2, 329.6))
    siren = np.sin(2 * np.pi * (900 * time + 60 * np.sin(2 * np.pi * 5 * time)))
    siren *= (time > 1.5) & (time < 2.5)
    references = {
        "vocals": (0.1 * np.stack([siren, siren])).astype(np.float32),
        "accompaniment": (0.1 * np.stack([chord, chord])).astype(np.float32),
    }
    mixture = references["vocals"] + references["accompaniment"]
    estimates = _estimate(name, mixture, references, piece=10.0, sample_rate=sample_rate)
    gain = _sdr(estimates["vocals"], references["vocals"]) - _sdr(mixture, references["vocals"])
    if name == "mixture":
        assert gain == 0
    else:
        assert gain > (15 if BASELINES[name].oracle else 8)


@pytest.mark.parametrize("name", ORACLES)
def test_what_does_not_overlap_is_reconstructed(name: str) -> None:
    mixture, references = _song(8 * RATE)
    second = np.arange(8 * RATE) // RATE
    references["vocals"] *= second % 2 == 0
    references["accompaniment"] *= second % 2 == 1
    mixture = references["vocals"] + references["accompaniment"]
    estimates = _estimate(name, mixture, references, piece=30.0)
    for stem, reference in references.items():
        assert _sdr(estimates[stem], reference) > 15  # but for the windows on a border
        inside = np.abs((np.arange(8 * RATE) + RATE // 2) % RATE - RATE // 2) > RATE // 8
        assert _sdr(estimates[stem][:, inside], reference[:, inside]) > 60


@pytest.mark.parametrize("name", ["irm", "mwf", *CLASSICAL])
def test_estimates_of_all_stems_sum_to_the_mixture(name: str) -> None:
    mixture, references = _song(7 * RATE)
    estimates = _estimate(name, mixture, references)
    np.testing.assert_allclose(sum(estimates.values()), mixture, atol=1e-6)


@pytest.mark.parametrize("name", ["irm", "mwf"])
def test_what_is_missing_from_the_references_goes_to_none_of_them(name: str) -> None:
    vocals, drums, other = _noise(3, 2, 4 * RATE)
    mixture, references = vocals + drums + other, {"vocals": vocals, "drums": drums}
    whole = _estimate(name, mixture, references | {"other": other})
    partly = _estimate(name, mixture, references)
    assert list(partly) == ["vocals", "drums"]
    for stem, estimate in partly.items():
        np.testing.assert_allclose(estimate, whole[stem], atol=1e-5)


@pytest.mark.parametrize("name", ["irm", "mwf"])
def test_what_is_missing_by_rounding_changes_nothing(name: str) -> None:
    mixture, references = _song(4 * RATE)
    rounded = (np.round(mixture * 2**15) / 2**15).astype(np.float32)
    before, after = (_estimate(name, each, references) for each in (mixture, rounded))
    for stem, estimate in before.items():
        assert _sdr(after[stem], estimate) > 50


@pytest.mark.parametrize("name", ORACLES)
def test_the_accompaniment_counts_once_among_its_parts(name: str) -> None:
    vocals, drums, bass = _noise(3, 2, 4 * RATE)
    parts = {"vocals": vocals, "drums": drums, "bass": bass}
    alone = _estimate(name, vocals + drums + bass, parts)
    among = _estimate(name, vocals + drums + bass, {"accompaniment": drums + bass, **parts})
    assert list(among) == ["accompaniment", *parts]
    for stem in parts:
        assert _sdr(among[stem], alone[stem]) > 60
    if name != "ibm":
        both = among["drums"] + among["bass"]
        assert _sdr(among["accompaniment"], both) > 60


def test_the_filter_of_one_channel_is_the_ratio_of_powers() -> None:
    """Of two sources of noise, the powers' ratio is the better guess."""
    mixture, references = _song(4 * RATE, channels=1)
    filtered, shared = (_estimate(name, mixture, references)["vocals"] for name in ("mwf", "irm"))
    assert _sdr(filtered, references["vocals"]) > _sdr(shared, references["vocals"]) + 0.3


def test_the_filter_uses_the_sides_that_stems_come_from() -> None:
    one, other = _noise(2, 4 * RATE)
    references = {"vocals": np.stack([one, 0.2 * one]), "drums": np.stack([0.2 * other, other])}
    mixture = references["vocals"] + references["drums"]
    filtered, shared = (_estimate(name, mixture, references)["vocals"] for name in ("mwf", "irm"))
    assert _sdr(filtered, references["vocals"]) > 40
    assert _sdr(shared, references["vocals"]) < 20


def test_a_binary_mask_keeps_what_has_half_of_the_magnitude() -> None:
    mixture = _noise(2, RATE)
    loud, soft = 0.51 * mixture, 0.49 * mixture
    estimates = _estimate("ibm", mixture, {"vocals": loud, "accompaniment": soft})
    np.testing.assert_allclose(estimates["vocals"], mixture, atol=1e-6)
    assert not estimates["accompaniment"].any()


@pytest.mark.parametrize("shape", [(2, 40, 30), (1, 300, 3), (1, 5, 1)])
def test_medians_make_librosas_masks(shape: tuple[int, ...]) -> None:
    magnitudes = np.abs(_noise(*shape))
    lasting, broad = _medians(magnitudes, 2), _medians(magnitudes, 1)
    mask, _ = librosa.decompose.hpss(magnitudes, kernel_size=17, mask=True)
    np.testing.assert_allclose(lasting**2 / (lasting**2 + broad**2), mask, rtol=1e-5)


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_bass_is_left_to_the_accompaniment(name: str) -> None:
    time = np.arange(6 * RATE) / RATE
    bass = 0.3 * np.sin(2 * np.pi * (50 + 10 * np.sin(time)) * time)[None].astype(np.float32)
    estimates = _estimate(name, bass, {"vocals": bass, "accompaniment": bass}, piece=10.0)
    assert _sdr(estimates["accompaniment"], bass) > 20


@pytest.mark.parametrize("name", CLASSICAL)
def test_only_known_stems_are_told_apart(name: str) -> None:
    mixture, _ = _song(RATE)
    assert list(_estimate(name, mixture, {"drums": mixture, "vocals": mixture})) == ["vocals"]
    assert BASELINES[name].stems == ("vocals", "accompaniment")


def test_what_repeats_is_the_accompaniment() -> None:
    """A bar of noise four times over, and under the third a note that comes once."""
    bar = np.tile(_noise(1, 2 * RATE), 4)
    note = np.zeros_like(bar)
    time = np.arange(RATE) / RATE
    note[:, 5 * RATE : 6 * RATE] = 0.2 * np.sin(2 * np.pi * 700 * time)
    references = {"vocals": note, "accompaniment": bar}
    estimates = _estimate("repet-sim", bar + note, references, piece=10.0)
    assert _sdr(estimates["vocals"], note) > _sdr(bar + note, note) + 8


def test_only_a_piece_and_a_half_is_held() -> None:
    """Of an hour, what is not yet estimated never grows."""
    given, done = 0, 0

    def blocks() -> Iterator[tuple[Samples, dict[str, Samples]]]:
        nonlocal given
        for _ in range(3600):
            block = np.zeros((1, RATE), np.float32)
            given += RATE
            yield block, {"vocals": block}

    for estimates in estimate_blocks(BASELINES["mixture"], blocks(), RATE):
        assert given - done <= 46 * RATE
        done += estimates["vocals"].shape[1]
    assert done == 3600 * RATE


@pytest.mark.parametrize(
    ("seconds", "lengths"),
    [(14.875, [14.875]), (15, [10, 6]), (23.875, [10, 14.875]), (24, [10, 10, 6])],
)
def test_pieces_lie_on_a_grid_and_fade_into_each_other(
    seconds: float, lengths: list[float]
) -> None:
    """Pieces that are as loud as their number: nowhere more than a smooth step between two."""
    given: list[float] = []

    def numbered(
        mixture: Samples, references: dict[str, Samples], sample_rate: int
    ) -> dict[str, Samples]:
        given.append(mixture.shape[1] / sample_rate)
        return dict.fromkeys(references, np.full_like(mixture, len(given)))

    baseline = replace(BASELINES["mixture"], estimate=numbered, piece=10.0)
    mixture = np.zeros((1, round(seconds * RATE)), np.float32)
    blocks = [(block, {"vocals": block}) for block in np.array_split(mixture, 7, 1)]
    found = estimate_blocks(baseline, blocks, RATE)
    joined = np.concatenate([estimates["vocals"] for estimates in found], 1)[0]
    assert given == lengths
    assert joined[0] == 1
    assert joined[-1] == len(lengths)
    # A second of a raised cosine is nowhere steeper than pi / 2 a second.
    steps = np.diff(joined) * RATE
    assert steps.min(initial=0) >= 0
    assert steps.max(initial=0) < 1.6
    for index in range(1, len(lengths)):
        middle = round(9.5 * RATE) + (index - 1) * 9 * RATE
        assert joined[middle] == pytest.approx(index + 0.5, abs=1e-3)


def test_an_unclear_layout_is_refused() -> None:
    mixture, references = _song(RATE)
    baseline = BASELINES["irm"]
    with pytest.raises(ValueError, match="expected samples"):
        next(estimate_blocks(baseline, [(mixture, {"vocals": mixture[:1]})], RATE))
    with pytest.raises(ValueError, match="expected samples"):
        next(estimate_blocks(baseline, [(mixture[0], {"vocals": mixture[0]})], RATE))
    blocks = [(mixture, references), (mixture, {"vocals": mixture})]
    with pytest.raises(ValueError, match="expected vocals, accompaniment, got vocals"):
        list(estimate_blocks(baseline, blocks, RATE))


def test_on_real_songs_floors_lie_below_ceilings(shared: Path) -> None:
    names = ("vocals", "drums", "bass", "other")
    tracks = find_tracks(shared / "data" / "musdb18-7" / "dev", names)
    scores: dict[str, list[float]] = {name: [] for name in BASELINES}
    for track in (tracks[0], tracks[4]):
        first = track.stems["vocals"]
        references = {
            stem: track.read(stem, 0, first.length, first.sample_rate, 2)
            for stem in ("vocals", "accompaniment")
        }
        mixture = sum(references.values(), np.zeros((2, first.length), np.float32))
        for name, baseline in BASELINES.items():
            vocals = baseline.estimate(mixture, references, first.sample_rate)["vocals"]
            scores[name].append(_sdr(vocals, references["vocals"]))
    mean = {name: np.mean(values) for name, values in scores.items()}
    for name in CLASSICAL:
        assert mean["mixture"] + 2 < mean[name] < mean["ibm"] - 3
    assert mean["ibm"] < mean["irm"] < mean["mwf"]
    assert mean["irm"] > mean["mixture"] + 10
