"""Damaged and silent files in training: reported, and replaced reproducibly."""

import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unmix.data import CorpusConfig, MixingConfig, RandomMixtures, open_corpus
from unmix.errors import AudioError, UnmixError

RATE = 8000
STEMS = ("vocals", "drums", "bass", "other")


def _songs(folder: Path, count: int, seconds: float = 1.0) -> None:
    random = np.random.default_rng(0)
    for song in range(count):
        (folder / f"song {song:04d}").mkdir(parents=True)
        for stem in STEMS:
            noise = random.uniform(-0.4, 0.4, int(seconds * RATE))
            soundfile.write(folder / f"song {song:04d}" / f"{stem}.wav", noise, RATE)


def _mixtures(folder: Path, *, strict: bool = False) -> RandomMixtures:
    config = CorpusConfig(path=".", vocals=1.0, accompaniment=1.0, coherent=1.0, strict=strict)
    return RandomMixtures(
        [open_corpus(config, folder)],
        MixingConfig(without_vocals=0.0, without_accompaniment=0.0),
        sample_rate=RATE,
        channels=1,
        length=2000,
        seed=0,
        items=1000,
    )


def _spoil(folder: Path, how: str) -> Path:
    path = folder / "song 0001" / "vocals.wav"
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:200])
    else:
        soundfile.write(path, np.zeros(RATE), RATE)
    return path


@pytest.mark.parametrize("how", ["gone", "cut", "silent"])
def test_another_excerpt_takes_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    _songs(tmp_path, 3)
    whole = _mixtures(tmp_path)
    before = [whole[index]["references"] for index in range(60)]
    items, again = _mixtures(tmp_path), _mixtures(tmp_path)
    path = _spoil(tmp_path, how)
    if how == "silent":
        items, again = _mixtures(tmp_path), _mixtures(tmp_path)
    with caplog.at_level(logging.WARNING):
        after = [items[index]["references"] for index in range(60)]
    # Said once, though met many times.
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    assert record.getMessage().endswith("; using another excerpt")
    # Who asks in another order, or for few items only, gets the same.
    for index in (59, 7, 31):
        assert torch.equal(again[index]["references"], after[index])
    replaced = [not torch.equal(*pair) for pair in zip(before, after, strict=True)]
    assert 5 < sum(replaced) < 40
    assert all(bool(references[0].any()) for references in after)


@pytest.mark.parametrize("how", ["gone", "silent"])
def test_a_strict_corpus_ends_the_run(tmp_path: Path, how: str) -> None:
    _songs(tmp_path, 2)
    items = _mixtures(tmp_path, strict=True)
    path = _spoil(tmp_path, how)
    with pytest.raises(AudioError, match=path.name):
        [items[index] for index in range(30)]


def test_damage_everywhere_ends_the_run(tmp_path: Path) -> None:
    _songs(tmp_path, 2)
    items = _mixtures(tmp_path)
    for path in tmp_path.rglob("*.wav"):
        path.unlink()
    with pytest.raises(UnmixError, match=r"20 excerpts in a row.*vocals\.wav does not exist"):
        items[0]


def test_a_silent_instrument_is_part_of_a_song(tmp_path: Path) -> None:
    """Only the first stem of an excerpt has to sound: a song may lack drums."""
    _songs(tmp_path, 1)
    soundfile.write(tmp_path / "song 0000" / "drums.wav", np.zeros(RATE), RATE)
    config = CorpusConfig(path=".", coherent=1.0)
    items = RandomMixtures(
        [open_corpus(config, tmp_path)],
        MixingConfig(coherent=1.0, without_vocals=0.0, without_accompaniment=0.0),
        sample_rate=RATE,
        channels=1,
        length=2000,
        seed=0,
        items=1,
        stems=("vocals", "drums", "bass", "other"),
    )
    heard = [bool(row.any()) for row in items[0]["references"]]
    assert heard == [True, False, True, True]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """Items take as much memory with 10 tracks as with 300."""
    peaks, sizes = {}, {}
    for count in (10, 300):
        folder = tmp_path / str(count)
        _songs(folder, count, seconds=0.5)
        tracemalloc.start()
        items = _mixtures(folder)
        sizes[count] = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for index in range(300):
            items[index]
        peaks[count] = tracemalloc.get_traced_memory()[1] - sizes[count]
        tracemalloc.stop()
    assert peaks[300] < peaks[10] + 200_000
    assert sizes[300] < 300 * 8_000 + sizes[10]
