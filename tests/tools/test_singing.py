"""The protocol of MIR-1K's tables, on made-up clips whose figures are known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tools.singing import SAMPLE_RATE, score_singing

Samples = NDArray[np.float32]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two clips of a test singer, of 1 and 3 seconds, and one of a training singer."""
    random = np.random.default_rng(0)
    for name, seconds in (("bug/bug_1_01", 1), ("bug/bug_1_02", 3), ("amy/amy_1_01", 1)):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for stem in ("vocals", "accompaniment"):
            samples = 0.1 * random.standard_normal(seconds * SAMPLE_RATE)
            soundfile.write(folder / f"{stem}.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    return tmp_path


def test_the_mixture_itself_gains_nothing(clips: Path) -> None:
    def same(mixture: Samples, rate: int) -> dict[str, Samples]:
        assert (mixture.shape[0], rate) == (1, SAMPLE_RATE)
        return {"vocals": mixture, "accompaniment": mixture}

    scores = score_singing(same, clips)
    assert (scores.clips, scores.seconds) == (2, 4.0)
    assert scores.gnsdr == pytest.approx({"vocals": 0, "accompaniment": 0}, abs=1e-9)
    assert scores.gsir["vocals"] == pytest.approx(0, abs=1)


def test_means_are_weighted_by_length(clips: Path) -> None:
    """An estimate with a known error: 20 dB down in the short clip, 40 dB down in the long one."""
    random = np.random.default_rng(1)
    stems = {
        length: [
            soundfile.read(path / f"{stem}.wav", dtype="float32")[0]
            for stem in ("vocals", "accompaniment")
        ]
        for path, length in ((clips / "bug/bug_1_01", 1), (clips / "bug/bug_1_02", 3))
    }

    def close(mixture: Samples, rate: int) -> dict[str, Samples]:
        seconds = mixture.shape[1] // rate
        vocals, accompaniment = (stem[None] / 2 for stem in stems[seconds])
        np.testing.assert_allclose(vocals + accompaniment, mixture, atol=1e-6)
        error = random.standard_normal(mixture.shape).astype(np.float32)
        error *= np.float32(0.05 * (0.1 if seconds == 1 else 0.01))
        return {"vocals": vocals + error, "accompaniment": accompaniment - error}

    scores = score_singing(close, clips)
    assert scores.gnsdr["vocals"] == pytest.approx((20 + 3 * 40) / 4, abs=0.5)
    assert scores.gnsdr["accompaniment"] == pytest.approx((20 + 3 * 40) / 4, abs=0.5)
    assert score_singing(close, clips, every=2).clips == 1


def test_silent_estimates_are_counted(clips: Path) -> None:
    """They have no figures, and what is left out would make a mean look better."""

    def shy(mixture: Samples, rate: int) -> dict[str, Samples]:
        estimate = mixture if mixture.shape[1] > 2 * rate else np.zeros_like(mixture)
        return {"vocals": estimate, "accompaniment": mixture}

    scores = score_singing(shy, clips)
    assert (scores.clips, scores.undefined) == (2, 1)
    assert scores.gnsdr["vocals"] == pytest.approx(0, abs=1e-9)
