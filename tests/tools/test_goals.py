"""What ``tools.release.goals`` measures, on sounds with known answers."""

import numpy as np
import pytest

from tools.release.goals import bands_of, leak, level_errors
from unmix import Separator
from unmix.stems import ACCOMPANIMENT, VOCALS

RATE = 8000


def _noise(seconds: float = 2.0, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 0.1 * random.standard_normal((2, round(seconds * RATE))).astype(np.float32)


def test_a_level_that_is_halved_is_6_db_off_and_pauses_do_not_count() -> None:
    reference = _noise()
    reference[:, : RATE // 2] *= 1e-4  # 80 dB below
    estimate = 0.5 * reference
    estimate[:, : RATE // 2] = 1.0
    assert level_errors(reference, estimate, RATE) == pytest.approx([6.02, 6.02], abs=0.01)
    estimate[:, -RATE // 5 :] = 0.1 * reference[:, -RATE // 5 :]  # two moments of fifteen
    assert level_errors(reference, estimate, RATE) == pytest.approx([6.02, 20], abs=0.01)
    assert np.isnan(level_errors(0 * reference, estimate, RATE)).all()


def test_bands_have_the_energies_of_their_noise() -> None:
    vocals = _noise()
    rows = bands_of(vocals, 0.5 * vocals, RATE)
    reference, estimate, error = rows.T
    filled = reference > 0
    assert filled[:2].all()  # up to 4 kHz
    assert not filled[3:].any()
    np.testing.assert_allclose(estimate[filled] / reference[filled], 0.25, rtol=1e-4)
    np.testing.assert_allclose(error[filled] / reference[filled], 0.25, rtol=1e-4)


def test_a_leak_is_a_level_against_the_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    separator = Separator("unet", device="cpu")
    monkeypatch.setattr(
        separator,
        "separate",
        lambda samples, rate: {VOCALS: 0.1 * samples, ACCOMPANIMENT: 0.9 * samples},
    )
    references = {VOCALS: _noise(), ACCOMPANIMENT: _noise(seed=2)}
    assert leak(separator, references, RATE, ACCOMPANIMENT) == pytest.approx(-20, abs=0.01)
    assert leak(separator, references, RATE, VOCALS) == pytest.approx(-0.915, abs=0.01)
    references[VOCALS] *= 0
    assert np.isnan(leak(separator, references, RATE, VOCALS))
