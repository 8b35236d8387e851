"""Items for models of any stems: rows in the model's order, and the residual of the mixture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from unmix.data import CorpusConfig, MixingConfig, RandomMixtures, UnpairedExcerpts, open_corpus
from unmix.errors import ConfigError

RATE = 8000
FREQUENCIES = {"vocals": 440, "drums": 100, "bass": 200, "other": 300}
PLAIN = {"without_vocals": 0.0, "without_accompaniment": 0.0}
SONGS = {"path": "songs", "vocals": 1.0, "accompaniment": 1.0, "coherent": 1.0, "mixture": 1.0}


def _items(folder: Path, stems: tuple[str, ...], *corpora: Any, **mixing: Any) -> RandomMixtures:
    return RandomMixtures(
        [open_corpus(CorpusConfig(**corpus), folder) for corpus in corpora or (SONGS,)],
        MixingConfig(**PLAIN | mixing),
        sample_rate=RATE,
        channels=2,
        length=4000,
        seed=0,
        items=100,
        stems=stems,
    )


def _sounds(samples: torch.Tensor) -> set[str]:
    """Return the stems that sound, by their frequencies."""
    spectrum = np.abs(np.fft.rfft(samples.numpy().sum(0) * np.hanning(samples.shape[-1])))
    near = {stem: spectrum[f // 2 - 5 : f // 2 + 6].max() for stem, f in FREQUENCIES.items()}
    return {stem for stem, peak in near.items() if peak > 0.1 * spectrum.max()}


@pytest.mark.parametrize("mixing", [{"coherent": 1.0}, {"coherent": 0.0}, {"remix": 0.0}])
@pytest.mark.parametrize(
    ("stems", "rows"),
    [
        (("vocals", "accompaniment"), ["vocals", "drums bass other"]),
        (("accompaniment", "vocals"), ["drums bass other", "vocals"]),
        (("vocals",), ["vocals", "drums bass other"]),
        (("accompaniment",), ["drums bass other", "vocals"]),
        (("drums", "bass", "other", "vocals"), ["drums", "bass", "other", "vocals"]),
        (("vocals", "drums"), ["vocals", "drums", "bass other"]),
        (("bass",), ["bass", "vocals drums other"]),
    ],
)
def test_rows_are_the_stems_and_the_residual(
    songs_folder: Path, stems: tuple[str, ...], rows: list[str], mixing: dict[str, float]
) -> None:
    items = _items(songs_folder, stems, **mixing)
    assert items.rows == (stems if len(stems) == len(rows) else (*stems, "residual"))
    for index in range(4):
        references = items[index]["references"]
        assert references.shape == (len(rows), 2, 4000)
        assert [_sounds(row) for row in references] == [set(row.split()) for row in rows]


@pytest.mark.parametrize("stems", [("drums",), ("vocals", "bass"), ("vocals", "drums", "other")])
def test_the_rows_of_a_song_are_its_mixture(songs_folder: Path, stems: tuple[str, ...]) -> None:
    """With any stems, a coherent item of a seed is the same excerpt of the same song."""
    two = _items(songs_folder, ("vocals", "accompaniment"), coherent=1.0)
    many = _items(songs_folder, stems, coherent=1.0)
    for index in range(3):
        mixtures = [items[index]["references"].sum(0) for items in (two, many)]
        torch.testing.assert_close(*mixtures, atol=1e-5, rtol=0)


def test_the_residual_follows_from_an_accompaniment(tmp_path: Path) -> None:
    """A corpus of drums and whole accompaniments trains a model of drums."""
    ticks = np.arange(2 * RATE) / RATE
    levels = {"vocals": ["vocals"], "drums": ["drums"], "accompaniment": ["drums", "bass"]}
    for stem, heard in levels.items():
        samples = sum(0.2 * np.sin(2 * np.pi * FREQUENCIES[name] * ticks) for name in heard)
        path = tmp_path / "songs" / "one" / f"{stem}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE, "FLOAT")
    drums, residual = _items(tmp_path, ("drums",), coherent=1.0)[0]["references"]
    assert (_sounds(drums), _sounds(residual)) == ({"drums"}, {"bass", "vocals"})


def test_silence_is_asked_for_in_all_rows(songs_folder: Path) -> None:
    stems = ("drums", "vocals")
    item = _items(songs_folder, stems, without_vocals=1.0)[0]
    drums, vocals, residual = item["references"]
    assert (bool(drums.any()), bool(vocals.any()), bool(residual.any())) == (True, False, True)
    item = _items(songs_folder, stems, without_accompaniment=1.0)[0]
    drums, vocals, residual = item["references"]
    assert (bool(drums.any()), bool(vocals.any()), bool(residual.any())) == (False, True, False)


@pytest.mark.parametrize(
    ("stems", "message"),
    [
        ((), "different parts"),
        (("vocals", "vocals"), "different parts"),
        (("mixture",), "different parts"),
        (("accompaniment", "drums"), "includes the other stems"),
        (("vocals", "piano"), "songs: no track has piano"),
    ],
)
def test_stems_that_cannot_be_had_are_refused(
    songs_folder: Path, stems: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _items(songs_folder, stems)


def test_long_tracks_are_drawn_more_often_if_wished(tmp_path: Path) -> None:
    for name, seconds, frequency in (("long", 9, 440), ("short", 1, 100)):
        samples = 0.3 * np.sin(2 * np.pi * frequency * np.arange(seconds * RATE) / RATE)
        for stem in ("vocals", "drums", "bass", "other"):
            path = tmp_path / "songs" / name / f"{stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, RATE, "FLOAT")

    def share(**mixing: bool) -> float:
        items = _items(tmp_path, ("vocals", "accompaniment"), **mixing)
        heard = [_sounds(items[index]["references"][0]) for index in range(60)]
        return sum(stems == {"vocals"} for stems in heard) / len(heard)

    assert 0.3 < share() < 0.7
    assert share(by_duration=True) > 0.8


@pytest.mark.parametrize(
    ("stem", "heard"),
    [
        ("vocals", {"vocals"}),
        ("accompaniment", {"drums", "bass", "other"}),
        ("mixture", {"vocals", "drums", "bass", "other"}),
    ],
)
def test_unpaired_excerpts(songs_folder: Path, stem: str, heard: set[str]) -> None:
    for path in songs_folder.rglob("mixture.wav"):
        path.unlink()

    def excerpts(seed: int) -> UnpairedExcerpts:
        corpora = [open_corpus(CorpusConfig(**SONGS, band=3000.0), songs_folder)]
        return UnpairedExcerpts(
            corpora, stem, sample_rate=RATE, channels=1, length=4000, seed=seed, items=9, speed=0.01
        )

    first, again, other = excerpts(0), excerpts(0), excerpts(1)
    assert len(first) == 9
    for index in (3, 0):
        item = first[index]
        assert item["samples"].shape == (1, 4000)
        assert item["band"] == pytest.approx(3000, rel=0.01)
        assert _sounds(item["samples"]) == heard
        assert torch.equal(item["samples"], again[index]["samples"])
        assert not torch.equal(item["samples"], other[index]["samples"])


@pytest.mark.parametrize(("share", "louder"), [(0.0, {0}), (1.0, {1}), (0.5, {0, 1})])
def test_unpaired_excerpts_are_swapped_as_often_as_is_asked_for(
    songs_folder: Path, share: float, louder: set[int]
) -> None:
    """The left channel of all songs is louder."""
    corpora = [open_corpus(CorpusConfig(path="songs", vocals=1.0), songs_folder)]
    form = {"sample_rate": RATE, "channels": 2, "length": 1000, "seed": 0, "items": 20}
    items = UnpairedExcerpts(corpora, "vocals", **form, swap_channels=share)
    found = [items[i]["samples"].square().mean(1).argmax().item() for i in range(20)]
    assert set(found) == louder


def test_unpaired_excerpts_need_a_corpus_and_a_stem(songs_folder: Path) -> None:
    corpora = [open_corpus(CorpusConfig(path="songs", vocals=1.0), songs_folder)]
    form = {"sample_rate": RATE, "channels": 1, "length": 100, "seed": 0, "items": 1}
    with pytest.raises(ConfigError, match="no corpus has a weight `mixture`"):
        UnpairedExcerpts(corpora, "mixture", **form)
    with pytest.raises(ConfigError, match="'drums' is not an unpaired stem; choose from vocals"):
        UnpairedExcerpts(corpora, "drums", **form)
