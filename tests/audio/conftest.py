"""What the tests of audio share: test signals, and a measure of delay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from unmix.audio import AudioWriter, OutputFormat, read_audio

Samples = NDArray[np.float32]


@pytest.fixture(scope="session")
def song() -> Callable[..., Samples]:
    """Make music-like samples ``[C, N]``: a chord, different in every channel, with noise."""

    def make(length: int, sample_rate: int = 44100, channels: int = 2) -> Samples:
        random = np.random.default_rng(length + channels)
        time = np.arange(length) / sample_rate
        rows = [
            0.2 * np.sin(2 * np.pi * 330 * (1 + channel / 3) * time)
            + 0.1 * random.standard_normal(length)
            for channel in range(channels)
        ]
        return np.clip(np.stack(rows), -0.9, 0.9).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def lag() -> Callable[[Samples, Samples], int]:
    """Return by how many samples the second signal is late."""

    def measure(reference: Samples, later: Samples) -> int:
        length = min(reference.shape[1], later.shape[1], 1 << 16)
        first = np.fft.rfft(reference[0, :length], 2 * length)
        second = np.fft.rfft(later[0, :length], 2 * length)
        peak = int(np.argmax(np.fft.irfft(np.conj(first) * second)))
        return peak if peak < length else peak - 2 * length

    return measure


@pytest.fixture(scope="session")
def write() -> Callable[..., AudioWriter]:
    """Write samples to a file in a few blocks, and return the closed writer."""

    def save(path: Path, samples: Samples, sample_rate: int = 44100, **choices: object) -> object:
        output = OutputFormat.parse(path.suffix, **choices)  # type: ignore[arg-type]
        with AudioWriter(
            path,
            sample_rate=sample_rate,
            channels=samples.shape[0],
            format=output,
            overwrite=True,
        ) as writer:
            for start in range(0, samples.shape[1], 30011):
                writer.write(samples[:, start : start + 30011])
        return writer

    return save  # type: ignore[return-value]


@pytest.fixture(scope="session")
def excerpt_of_song(songs: list[Path]) -> Samples:
    """Ten seconds of a real song, 44.1 kHz stereo."""
    path = next(path for path in songs if "fantasma" in path.name)
    samples, sample_rate = read_audio(path)
    assert sample_rate == 44100
    return np.ascontiguousarray(samples[:, 30 * 44100 : 40 * 44100 + 777])
