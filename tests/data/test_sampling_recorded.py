"""The items of a recipe, and the positions of their excerpts, do not change between versions."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.data import CorpusConfig, MixingConfig, RandomMixtures, open_corpus
from unmix.data.tracks import Samples, StemFile

RATE = 8000
CORPORA = (
    CorpusConfig(path="songs", vocals=0.5, accompaniment=0.7, coherent=1.0),
    CorpusConfig(path="pairs", vocals=0.2, accompaniment=0.2, coherent=0.5, band=3000.0),
    CorpusConfig(path="singers", single="vocals", exclude=("*left out*",), vocals=0.3),
    CorpusConfig(path="games", single="accompaniment", accompaniment=0.1),
)
MIXING = MixingConfig(coherent=0.2, without_vocals=0.08, remix=0.8)
FASTER_AND_SLOWER = MIXING.model_copy(update={"speed": 0.15})
#: SHA-256 of the first forty items, as they were while excerpts were still stretched linearly.
RECORDED = "79baecefa83f684a296b5008dd9c51d04782ed184df0da352519c3de2961cc37"
#: SHA-256 of the lines "file, first sample, samples" of all that is read for forty items.
CUT = "c926d85bf754128deffcb1352c2599af3503ae713719acf346ca4f0691e9589c"


def _write(path: Path, seconds: float, channels: int = 2) -> None:
    """Write noise of small integers, which is the same on every machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(str(path.name)) * 1000 + int(seconds * 100))
    samples = random.integers(-8000, 8000, (int(seconds * RATE), channels), dtype=np.int16)
    samples[: len(samples) // 2] //= 200  # a part that is nearly silent
    soundfile.write(path, samples, RATE, "PCM_16")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for song in range(5):
        for stem in ("vocals", "drums", "bass", "other"):
            _write(tmp_path / "songs" / f"song {song}" / f"{stem}.wav", 2 + 0.1 * song)
    for clip in range(3):
        for stem in ("vocals", "accompaniment"):
            _write(tmp_path / "pairs" / "singer" / f"clip {clip}" / f"{stem}.wav", 1 + clip, 1)
    for phrase in ("a", "bb", "left out"):
        _write(tmp_path / "singers" / f"{phrase}.flac", 0.5, 1)
    _write(tmp_path / "games" / "level1.flac", 3)
    return tmp_path


def _items(data: Path, mixing: MixingConfig) -> RandomMixtures:
    corpora = [open_corpus(corpus, data) for corpus in CORPORA]
    return RandomMixtures(
        corpora, mixing, sample_rate=RATE, channels=2, length=6000, seed=7, items=100
    )


def test_items_are_those_that_were_recorded(data: Path) -> None:
    items = _items(data, MIXING)
    digest = hashlib.sha256()
    for index in range(40):
        item = items[index]
        digest.update(item["references"].numpy().tobytes())
        digest.update(item["band"].numpy().tobytes())
    assert digest.hexdigest() == RECORDED


def test_items_at_another_speed_are_cut_where_they_were(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resampling rounds differently on other machines, but its input is the same."""
    cuts: list[str] = []
    read = StemFile.read

    def remember(file: StemFile, start: int, length: int, *arguments: int) -> Samples:
        cuts.append(f"{file.path.relative_to(data).as_posix()}, {start}, {length}")
        return read(file, start, length, *arguments)

    monkeypatch.setattr(StemFile, "read", remember)
    items = _items(data, FASTER_AND_SLOWER)
    for index in range(40):
        assert items[index]["references"].shape == (2, 2, 6000)
    assert len({cut.split(", ")[2] for cut in cuts}) > 40  # speeds differ
    assert hashlib.sha256("\n".join(cuts).encode()).hexdigest() == CUT
