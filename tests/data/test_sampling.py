"""Random mixtures: seeded, of the configured corpora, at the configured levels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from unmix.data import CorpusConfig, MixingConfig, RandomMixtures, open_corpus
from unmix.data.excerpts import ExcerptReader
from unmix.data.tracks import StemFile, Term
from unmix.errors import ConfigError, UnmixError

SONGS = {"path": "songs", "vocals": 1.0, "accompaniment": 1.0, "coherent": 1.0}
SINGERS = {"path": "singers", "single": "vocals", "vocals": 1.0, "band": 3000.0}
GAMES = {"path": "games", "single": "accompaniment", "accompaniment": 1.0}
PLAIN = {"without_vocals": 0.0, "without_accompaniment": 0.0}


def _items(
    folder: Path, corpora: list[dict[str, Any]], seed: int = 0, **mixing: Any
) -> RandomMixtures:
    return RandomMixtures(
        [open_corpus(CorpusConfig(**corpus), folder) for corpus in corpora],
        MixingConfig(**PLAIN | mixing),
        sample_rate=8000,
        channels=2,
        length=4000,
        seed=seed,
        items=100,
    )


def _peaks(samples: torch.Tensor) -> set[int]:
    """Return the frequencies of spectral peaks, to the nearest 50 Hz."""
    spectrum = np.abs(np.fft.rfft(samples.numpy().sum(0) * np.hanning(samples.shape[-1])))
    bins = np.flatnonzero(spectrum > 0.2 * spectrum.max())
    return {int(round(b * 8000 / samples.shape[-1] / 50) * 50) for b in bins}


def test_an_item_depends_on_seed_and_index_alone(corpora_folder: Path) -> None:
    corpora = [SONGS, SINGERS, GAMES]
    first, again = (_items(corpora_folder, corpora, speed=0.1) for _ in range(2))
    for index in (7, 0, 99):
        torch.testing.assert_close(first[index], again[index], rtol=0, atol=0)
    assert not torch.equal(first[0]["references"], first[1]["references"])
    other = _items(corpora_folder, corpora, seed=1, speed=0.1)
    assert not torch.equal(first[0]["references"], other[0]["references"])


def test_shapes_and_types(corpora_folder: Path) -> None:
    items = _items(corpora_folder, [SONGS, SINGERS, GAMES], speed=0.2)
    assert len(items) == 100
    for index in range(20):
        item = items[index]
        assert item["references"].shape == (2, 2, 4000)
        assert item["references"].dtype == torch.float32
        assert item["references"].isfinite().all()


def test_a_coherent_item_is_the_song(corpora_folder: Path) -> None:
    items = _items(corpora_folder, [SONGS], coherent=1.0)
    for index in range(5):
        vocals, accompaniment = items[index]["references"]
        assert _peaks(vocals) <= {400, 450}
        assert {100, 200, 300} <= _peaks(accompaniment)
        levels = vocals.square().mean(1).sqrt()
        assert levels.max() / levels.min() == pytest.approx(2, rel=1e-3)  # as it was mixed


def test_vocals_keep_the_level_that_was_asked_for(corpora_folder: Path) -> None:
    items = _items(corpora_folder, [SONGS], coherent=0.0, vocals_level=(-6.0, -6.0))
    for index in range(5):
        vocals, accompaniment = items[index]["references"]
        ratio = vocals.square().mean().sqrt() / accompaniment.square().mean().sqrt()
        assert 20 * torch.log10(ratio) == pytest.approx(-6, abs=0.1)


def test_vocals_over_silence_are_as_loud_as_they_were(tmp_path: Path) -> None:
    """An accompaniment that starts after half a minute."""
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 8000 * 30)
    for stem, begin in (("vocals", 0), ("accompaniment", 8000 * 29)):
        (tmp_path / "songs" / "one").mkdir(parents=True, exist_ok=True)
        soundfile.write(
            tmp_path / "songs" / "one" / f"{stem}.wav",
            np.where(np.arange(len(noise)) < begin, 0, noise),
            8000,
        )
    items = _items(tmp_path, [SONGS], coherent=0.0)
    silent = 0
    for index in range(20):
        vocals, accompaniment = items[index]["references"]
        silent += not accompaniment.any()
        if not accompaniment.any():
            assert vocals.square().mean().sqrt() == pytest.approx(0.3 / 3**0.5, rel=0.05)
    assert silent > 5


def test_a_second_accompaniment_over_silence_is_as_loud_as_it_was(corpora_folder: Path) -> None:
    silence = corpora_folder / "pauses"
    silence.mkdir()
    soundfile.write(silence / "pause.wav", np.append(np.zeros(8000 * 30), np.ones(80)), 8000)
    pauses = {"path": "pauses", "single": "accompaniment", "accompaniment": 1.0}
    items = _items(
        corpora_folder,
        [SINGERS, GAMES, pauses],
        coherent=0.0,
        second_accompaniment=1.0,
        second_level=(-6.0, -6.0),
        vocals_level=(0.0, 0.0),
    )
    levels = [items[index]["references"].square().mean((1, 2)).sqrt() for index in range(30)]
    games = [accompaniment for _, accompaniment in levels if accompaniment > 0]
    assert 10 < len(games) < 30  # else a pause twice
    for vocals, accompaniment in levels:
        if accompaniment > 0:
            assert accompaniment > 0.1  # 0.3 sqrt(1 / 2), less half of it at the worst
        torch.testing.assert_close(vocals, accompaniment or vocals, rtol=1e-2, atol=0)


def test_corpora_are_drawn_by_weight(corpora_folder: Path) -> None:
    only = _items(corpora_folder, [SONGS | {"vocals": 0.0}, SINGERS], coherent=0.0)
    assert all(_peaks(only[i]["references"][0]) <= {450, 500, 550} for i in range(10))
    half = _items(corpora_folder, [SONGS, SINGERS], coherent=0.0)
    bands = [bool(half[i]["band"].isfinite()) for i in range(100)]
    assert 30 < sum(bands) < 70


def _power(samples: torch.Tensor, frequency: float) -> float:
    """Return the power of a sine of any phase over all channels, by least squares."""
    turn = 2 * np.pi * frequency * np.arange(samples.shape[-1]) / 8000
    basis = np.stack([np.sin(turn), np.cos(turn)], 1)
    return float(np.square(np.linalg.lstsq(basis, samples.numpy().T, rcond=None)[0]).sum())


def test_a_second_singer_joins_from_any_corpus_at_the_level_asked_for(
    corpora_folder: Path,
) -> None:
    corpora = [SONGS, SINGERS]
    alone = _items(corpora_folder, corpora, coherent=0.0)
    voices = [_peaks(alone[i]["references"][0]) for i in range(40)]
    assert not any({450, 500} <= peaks for peaks in voices)
    joined = _items(
        corpora_folder, corpora, coherent=0.0, second_singer=1.0, second_level=(-6.0, -6.0)
    )
    both = [joined[i] for i in range(40) if {450, 500} <= _peaks(joined[i]["references"][0])]
    assert 10 < len(both) < 30  # else two of one corpus, who all sing the same
    ratios = []
    for item in both:
        song, singer = (_power(item["references"][0], frequency) for frequency in (440, 500))
        ratios.append(10 * np.log10(song / singer))
        assert abs(ratios[-1]) == pytest.approx(6, abs=0.3)
        assert item["band"] == 3000  # whichever of them was first
    assert min(ratios) < 0 < max(ratios)


def test_a_second_accompaniment_joins_from_any_corpus_at_the_level_asked_for(
    corpora_folder: Path,
) -> None:
    corpora = [SONGS, GAMES | {"band": 2000.0}]
    items = _items(
        corpora_folder,
        corpora,
        coherent=0.0,
        remix=0.0,
        second_accompaniment=0.5,
        second_level=(-6.0, -6.0),
        vocals_level=(-3.0, -3.0),
    )
    ratios = []
    for index in range(80):
        vocals, accompaniment = items[index]["references"]
        level = vocals.square().mean() / accompaniment.square().mean()  # of all that is heard
        assert 10 * torch.log10(level) == pytest.approx(-3, abs=0.1)
        game, *song = (_power(accompaniment, frequency) for frequency in (50, 100, 200, 300))
        assert items[index]["band"] == (2000 if game > 1e-3 * sum(song) else float("inf"))
        if min(game, sum(song)) < 1e-3 * max(game, sum(song)):  # one alone, or two of one corpus
            continue
        ratios.append(10 * np.log10(sum(song) / game))
        assert abs(ratios[-1]) == pytest.approx(6, abs=0.3)
    assert 10 < len(ratios) < 30
    assert min(ratios) < 0 < max(ratios)


def test_the_band_is_the_narrowest_and_moves_with_speed(corpora_folder: Path) -> None:
    narrow = _items(corpora_folder, [SINGERS, GAMES], coherent=0.0)
    assert narrow[0]["band"] == 3000
    wide = _items(corpora_folder, [SONGS], coherent=0.5)
    assert wide[0]["band"] == float("inf")
    fast = _items(corpora_folder, [SINGERS, GAMES], coherent=0.0, speed=0.1)
    bands = torch.stack([fast[i]["band"] for i in range(20)])
    assert ((bands >= 2700) & (bands <= 3300)).all()
    assert bands.std() > 50


def test_speed_moves_the_pitch(corpora_folder: Path) -> None:
    items = _items(corpora_folder, [SONGS], coherent=1.0, speed=0.3)
    peaks = set().union(*(_peaks(items[i]["references"][0]) for i in range(20)))
    assert min(peaks) < 400
    assert max(peaks) > 500


@pytest.mark.parametrize("speed", [0.87, 0.999, 1.13])
def test_another_speed_adds_nothing_that_was_not_there(tmp_path: Path, speed: float) -> None:
    """Linear interpolation would leave an alias of 14 kHz, 13 dB lower."""
    time = np.arange(2 * 44100) / 44100
    soundfile.write(tmp_path / "cymbal.wav", 0.3 * np.sin(2 * np.pi * 14000 * time), 44100, "FLOAT")
    term = Term(StemFile.open(tmp_path / "cymbal.wav"), 1)
    reader = ExcerptReader(sample_rate=44100, channels=1, length=40000)
    (excerpt,) = reader([[term]], speed, np.random.default_rng(1))
    spectrum = np.square(np.abs(np.fft.rfft(excerpt[0, 1000:-1000] * np.blackman(38000))))
    tone = round(14000 * speed / 44100 * 38000)
    inside = slice(tone - 8, tone + 9)
    assert 10 * np.log10(spectrum[inside].sum() / np.delete(spectrum, inside).sum()) > 70
    level = np.sqrt(2 * np.square(excerpt[0, 1000:-1000]).mean())
    assert level == pytest.approx(0.3, rel=0.01)


def test_silent_stems_when_asked_for(corpora_folder: Path) -> None:
    mute = _items(corpora_folder, [SONGS], without_vocals=1.0)
    assert not mute[0]["references"][0].any()
    assert mute[0]["references"][1].any()
    alone = _items(corpora_folder, [SONGS], without_accompaniment=1.0)
    assert not alone[0]["references"][1].any()


def test_a_file_shorter_than_the_excerpt_is_placed_in_silence(corpora_folder: Path) -> None:
    items = RandomMixtures(
        [open_corpus(CorpusConfig(**corpus), corpora_folder) for corpus in (SINGERS, GAMES)],
        MixingConfig(**PLAIN, coherent=0.0),
        sample_rate=8000,
        channels=2,
        length=20000,
        seed=0,
        items=10,
    )
    starts = set()
    for index in range(5):
        sounding = items[index]["references"][0].abs().amax(0) > 0
        assert 7900 < sounding.sum() <= 8000
        starts.add(int(sounding.nonzero()[0]))
    assert len(starts) > 1


@pytest.mark.parametrize(
    ("corpora", "message"),
    [
        ([SINGERS, SONGS | {"accompaniment": 0.0}], "none has a weight `accompaniment`"),
        ([SONGS | {"coherent": 0.0}], "coherent"),
        ([SONGS, SINGERS | {"accompaniment": 1.0}], "singers: no track has accompaniment"),
    ],
)
def test_corpora_that_cannot_be_mixed_are_refused(
    corpora_folder: Path, corpora: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _items(corpora_folder, corpora)


def test_a_name_that_is_asked_for_twice_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    with pytest.raises(UnmixError, match=r"named vocals,.*mixture, choir, and no") as refused:
        open_corpus(CorpusConfig(path="songs", vocals=1), tmp_path, ("vocals", "choir"))
    assert str(refused.value).count("vocals") == 1
