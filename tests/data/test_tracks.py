"""Tracks: found, read at any place and rate, summed."""

from pathlib import Path

import numpy as np
import pytest

from unmix.data import StemFile, find_tracks
from unmix.errors import UnmixError

STEMS = ("vocals", "accompaniment", "drums", "bass", "other")


def test_finds_one_track_a_folder_and_leaves_other_files_alone(songs_folder: Path) -> None:
    tracks = find_tracks(songs_folder, STEMS)
    assert [track.name for track in tracks] == [f"songs/song {i}" for i in range(3)]
    assert all(tuple(track.stems) == ("vocals", "drums", "bass", "other") for track in tracks)
    assert tracks[0].parts("accompaniment") == ("drums", "bass", "other")


def test_single_and_excluded(corpora_folder: Path) -> None:
    every = find_tracks(corpora_folder / "singers", STEMS, single="vocals")
    assert [track.name for track in every] == ["anna/phrase.wav", "berta/phrase.wav"]
    some = find_tracks(corpora_folder / "singers", STEMS, single="vocals", exclude=["an*"])
    assert [track.name for track in some] == ["berta/phrase.wav"]
    assert every[0].parts("accompaniment") == ()


def test_an_accompaniment_needs_all_its_parts(songs_folder: Path) -> None:
    (songs_folder / "songs" / "song 0" / "bass.wav").unlink()
    track = find_tracks(songs_folder, STEMS)[0]
    assert track.parts("accompaniment") == ()


def test_nothing_to_find_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnmixError, match="no such folder"):
        find_tracks(tmp_path / "none", STEMS)
    with pytest.raises(UnmixError, match="no tracks found"):
        find_tracks(tmp_path, STEMS)


def test_excerpts_are_where_they_are_asked_for(songs_folder: Path) -> None:
    track = find_tracks(songs_folder, STEMS)[0]
    whole = track.read("vocals", 0, 24000, 8000, 2)
    np.testing.assert_allclose(whole[1], 0.5 * whole[0], atol=1e-6)
    for start, length in ((0, 1), (100, 999), (23990, 10), (7777, 1234)):
        part = track.read("vocals", start, length, 8000, 2)
        np.testing.assert_array_equal(part, whole[:, start : start + length])
    beyond = track.read("vocals", 23000, 2000, 8000, 2)
    np.testing.assert_array_equal(beyond[:, :1000], whole[:, 23000:])
    assert not beyond[:, 1000:].any()


def test_the_accompaniment_is_the_sum_of_its_parts(songs_folder: Path) -> None:
    track = find_tracks(songs_folder, STEMS)[0]
    parts = [track.read(stem, 50, 500, 8000, 2) for stem in ("drums", "bass", "other")]
    np.testing.assert_allclose(track.read("accompaniment", 50, 500, 8000, 2), sum(parts), atol=1e-6)


def test_other_rates_and_channels(corpora_folder: Path) -> None:
    stem = StemFile.open(corpora_folder / "games" / "level1.flac")
    assert (stem.sample_rate, stem.length_at(8000)) == (16000, 32000)
    samples = stem.read(8000, 8000, 8000, 2)
    assert samples.shape == (2, 8000)
    np.testing.assert_array_equal(samples[0], samples[1])
    expected = 0.3 * np.sin(2 * np.pi * 50 * np.arange(8000, 16000) / 8000)
    # The ends of an excerpt are resampled against silence; the middle is exact.
    np.testing.assert_allclose(samples[0, 500:-500], expected[500:-500], atol=1e-3)
    with_mono = find_tracks(corpora_folder / "songs", STEMS)[0].read("vocals", 0, 100, 8000, 1)
    assert with_mono.shape == (1, 100)
