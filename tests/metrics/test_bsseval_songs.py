"""BSS Eval against museval on real stems: lossy ones in floating point, and as 16-bit files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from unmix.evaluation.museval_backend import museval_scores
from unmix.metrics import SINGULAR, BSSOptions, bss_eval

# test_bsseval.py holds the same laws on short noise.
pytestmark = pytest.mark.slow

RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")
#: With a mono singer in both channels; with the least that museval repeats of itself; with neither.
SONGS = (
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "ANiMAL - Rockshow",
)
#: Above, a figure is the ratio of a signal to rounding errors: only that it is so high is compared.
PERFECT = 150
Samples = NDArray[np.float32]


def _read(folder: Path, stems: int) -> Samples:
    parts = [
        soundfile.read(folder / f"{stem}.ogg", dtype="float32", always_2d=True)[0].T
        for stem in STEMS
    ]
    if stems == 2:
        parts = [parts[0], np.sum(parts[1:], 0)]
    return np.stack(parts)


def _masked(references: Samples) -> Samples:
    """Return what soft masks of the true magnitudes give."""
    frames = torch.stft(
        torch.from_numpy(references).flatten(0, 1),
        2048,
        512,
        window=torch.hann_window(2048),
        return_complex=True,
    ).unflatten(0, references.shape[:2])
    masks = frames.abs() / (frames.abs().sum(0) + 1e-9)
    estimates = torch.istft(
        (masks * frames.sum(0)).flatten(0, 1),
        2048,
        512,
        window=torch.hann_window(2048),
        length=references.shape[-1],
    )
    return estimates.reshape(references.shape).numpy()


def _mixture(references: Samples) -> Samples:
    """Return the mixture as every estimate."""
    return np.repeat(references.sum(0, keepdims=True), len(references), 0)


def _sixteen_bits(samples: Samples) -> Samples:
    return np.round(samples * 2**15).clip(-(2**15), 2**15 - 1).astype(np.float32) / 2**15


def _apart(estimates: Samples, references: Samples, options: BSSOptions) -> tuple[float, Tensor]:
    """Return how far the two are apart at the most, in dB, and the condition."""
    ours = bss_eval(
        estimates=torch.from_numpy(estimates),
        references=torch.from_numpy(references),
        options=options,
    )
    theirs = museval_scores(estimates=list(estimates), references=list(references), options=options)
    most = 0.0
    for name in ("sdr", "isr", "sir", "sar"):
        found, expected = getattr(ours, name).numpy(), getattr(theirs, name)
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
        found, expected = (np.clip(figure, -PERFECT, PERFECT) for figure in (found, expected))
        most = max(most, np.nanmax(np.abs(found - expected), initial=0))
    return most, ours.condition


@pytest.mark.parametrize("song", SONGS)
def test_agrees_where_rounding_errors_decide(shared: Path, song: str) -> None:
    """These stems were decoded to floating point, and end at the band of their codec."""
    references = _read(shared / "data" / "musdb18-7" / "dev" / song, 2)
    options = BSSOptions(window=RATE)
    apart, condition = _apart(_masked(references), references, options)
    assert condition > SINGULAR
    assert apart < 0.01
    apart, _ = _apart(_mixture(references), references, options)
    assert apart < 0.01


def test_agrees_on_16_bit_stems(shared: Path) -> None:
    references = _sixteen_bits(_read(shared / "data" / "musdb18-7" / "dev" / SONGS[2], 2))
    apart, condition = _apart(_masked(references), references, BSSOptions(window=RATE))
    assert condition < SINGULAR
    assert apart < 0.001
    apart, _ = _apart(_mixture(references), references, BSSOptions(window=RATE))
    assert apart < 0.001


@pytest.mark.parametrize("bits", [16, 32])
def test_agrees_on_four_stems(shared: Path, bits: int) -> None:
    references = _read(shared / "data" / "musdb18-7" / "dev" / SONGS[2], 4)
    references = _sixteen_bits(references) if bits == 16 else references
    apart, _ = _apart(_masked(references), references, BSSOptions(window=RATE))
    assert apart < 0.01


@pytest.mark.parametrize("bits", [16, 32])
def test_agrees_framewise(shared: Path, bits: int) -> None:
    """BSS Eval v3, on some frames."""
    references = _read(shared / "data" / "musdb18-7" / "dev" / SONGS[1], 2)[..., : 2 * RATE + 100]
    references = _sixteen_bits(references) if bits == 16 else references
    options = BSSOptions(window=RATE, framewise=True)
    apart, _ = _apart(_masked(references), references, options)
    assert apart < 0.01


def test_agrees_on_singing(shared: Path) -> None:
    """The figures of papers on singing voice separation, on a clip of MIR-1K at 16 kHz."""
    import soxr

    clip = next(iter(sorted((shared / "data" / "mir1k" / "leon").iterdir())))
    references = []
    for stem in ("vocals", "accompaniment"):
        samples, rate = soundfile.read(clip / f"{stem}.opus", dtype="float32")
        references.append(soxr.resample(samples, rate, 16000)[None])
    signals = np.stack(references)
    options = BSSOptions(mode="sources", permute=True)
    apart, _ = _apart(_masked(signals), signals, options)
    assert apart < 0.01
