"""A file that is too long is refused by its header, or else as soon as it is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.audio import open_audio, read_audio
from unmix.audio.limits import parse_duration
from unmix.errors import AudioError, ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("90", 90), ("1.5", 1.5), ("90m", 5400), ("2h", 7200), ("1h30m", 5400)],
        *[("1:30:00", 5400), ("10:00", 600), (" 5S ", 5)],
    ],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "h", "2x", "1:", "1:2:3:4", "1e9"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a length of time"):
        parse_duration(text)


def _write(path: Path, seconds: int, rate: int = 8000) -> Path:
    soundfile.write(path, np.zeros(seconds * rate, np.float32), rate)
    return path


def test_a_header_that_promises_too_much_is_refused_at_once(tmp_path: Path) -> None:
    song = _write(tmp_path / "a.flac", 10)
    with pytest.raises(AudioError, match=r"a\.flac is longer than 9\.5 s"):
        open_audio(song, max_duration=9.5)
    assert read_audio(song, max_duration=10)[0].shape == (1, 80000)
    with pytest.raises(ConfigError, match="above 0"):
        open_audio(song, max_duration=0)


def test_a_length_that_no_header_says_is_refused_while_decoding(tmp_path: Path) -> None:
    data = bytearray(_write(tmp_path / "a.flac", 60).read_bytes())
    data[21] &= 0xF0  # FLAC's count of samples: unknown
    data[22:26] = bytes(4)
    with open_audio(io.BytesIO(data), max_duration=20) as reader:
        with pytest.raises(AudioError, match="is longer than 20 s"):
            list(reader.blocks())
        assert reader.samples_read < 30 * 8000


@pytest.mark.parametrize("rate", [1, 2_000_000_000])
def test_rates_that_are_no_sound_are_refused(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100, np.float32), rate)
    with pytest.raises(AudioError, match=f"sample rate of {rate} Hz"):
        read_audio(path)
