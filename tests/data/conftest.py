"""Small corpora, written to disk."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000


def tone(frequency: float, seconds: float, level: float = 0.3, rate: int = RATE) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


@pytest.fixture
def songs_folder(tmp_path: Path) -> Path:
    """Three songs: vocals at 440 Hz, drums, bass and other at multiples of 100 Hz."""
    for song in range(3):
        folder = tmp_path / "songs" / f"song {song}"
        folder.mkdir(parents=True)
        for stem, frequency in (("vocals", 440), ("drums", 100), ("bass", 200), ("other", 300)):
            samples = np.stack([tone(frequency, 3), 0.5 * tone(frequency, 3)], 1)
            soundfile.write(folder / f"{stem}.wav", samples, RATE, "FLOAT")
        soundfile.write(folder / "mixture.wav", np.zeros(10), RATE)
    return tmp_path


@pytest.fixture
def corpora_folder(songs_folder: Path) -> Path:
    """The songs, two singers alone, and one accompaniment."""
    for singer in ("anna", "berta"):
        folder = songs_folder / "singers" / singer
        folder.mkdir(parents=True)
        soundfile.write(folder / "phrase.wav", tone(500, 1), RATE, "FLOAT")
    (songs_folder / "games").mkdir()
    soundfile.write(songs_folder / "games" / "level1.flac", tone(50, 4, rate=16000), 16000)
    return songs_folder
