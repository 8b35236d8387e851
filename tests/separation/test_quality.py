"""The default model on real songs: it separates, and 16-bit arithmetic is enough."""

from pathlib import Path

import numpy as np
import pytest
import torch

from unmix import Separator
from unmix.audio import read_audio
from unmix.data import find_tracks
from unmix.evaluation import evaluate
from unmix.metrics import sdr

STEMS = ("vocals", "drums", "bass", "other")


@pytest.fixture(scope="module")
def separator() -> Separator:
    return Separator(device="cpu")


def _decibels(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def test_separates_singing_from_playing(separator: Separator, excerpt: Path) -> None:
    """The shipped song has a voice until 0:17, and instruments only from 0:22 to 0:24."""
    samples, rate = read_audio(excerpt)
    stems = separator.separate(samples, rate)
    singing, playing = slice(4 * rate, 8 * rate), slice(22 * rate, 24 * rate)
    below = {
        name: _decibels(stems["vocals"][:, part]) - _decibels(samples[:, part])
        for name, part in (("singing", singing), ("playing", playing))
    }
    assert below["singing"] > -9
    assert below["playing"] < -15
    np.testing.assert_allclose(sum(stems.values()), samples, atol=1e-6)


@pytest.mark.slow
def test_the_default_model_beats_the_mixture(shared: Path) -> None:
    """The mixture scores what others have measured for these songs."""
    data = shared / "data" / "musdb18-7" / "dev"
    report = evaluate(data=data, metrics="bss", baselines="mixture", device="cpu")
    assert len(report.tracks) == 14
    for stem, floor, least in (("vocals", -3.78, 4.5), ("accompaniment", 3.78, 8.5)):
        mixture = report.aggregate(stem, "bss_sdr", None, "mixture").value
        assert mixture == pytest.approx(floor, abs=0.01)
        assert report.aggregate(stem, "bss_sdr").value >= least


@pytest.mark.slow
def test_16_bit_arithmetic_costs_less_than_a_twentieth_of_a_decibel(shared: Path) -> None:
    tracks = find_tracks(shared / "data" / "musdb18-7" / "dev", STEMS)[:4]
    scores: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for track in tracks:
        vocals, accompaniment = (
            track.read(s, 0, 300_000, 44100, 2) for s in ("vocals", "accompaniment")
        )
        for precision, values in scores.items():
            estimate = Separator(device="cpu", precision=precision).separate(
                vocals + accompaniment, 44100
            )
            values.append(
                float(
                    sdr(
                        estimate=torch.from_numpy(estimate["vocals"]),
                        reference=torch.from_numpy(vocals),
                    )
                )
            )
    difference = np.subtract(scores["fp32"], scores["bf16"])
    assert np.abs(difference).max() < 0.05
    assert difference.any()  # 16-bit arithmetic was used
