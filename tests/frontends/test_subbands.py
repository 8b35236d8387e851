"""Laws of the filterbank: exact inverse at any length, stop bands, frequencies of bins."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from unmix.audio import read_audio
from unmix.frontends import BANDS, PQMF, Padding, SubbandSTFT
from unmix.frontends.subbands import _ANGLES, prototype
from unmix.models import build
from unmix.recipes.reading import find_architecture
from unmix.weights.converters import converters

LENGTHS = [1, 2, 3, 4, 5, 63, 64, 1000, 1001, 1002, 1003, 88200]


@pytest.fixture(scope="module", params=["ours", "theirs"])
def filterbank(request: pytest.FixtureRequest) -> PQMF:
    """The filterbank with our filters, and with those of the published checkpoints."""
    bank = PQMF()
    if request.param == "theirs":
        shared: Path = request.getfixturevalue("shared")
        held = np.load(shared / "parity" / "bytesep_pqmf_filters.npz")
        choice = find_architecture("mobilenet-subband")
        model = build(choice.architecture, choice.model)
        for move in converters()[choice.architecture].moves(model):
            if "pqmf" in move.theirs:
                filters = move.change(torch.from_numpy(held[move.theirs]))
                bank.state_dict()[move.ours.rpartition(".")[2]].copy_(filters)
    return bank


def _snr(samples: Tensor, again: Tensor) -> float:
    return 10 * math.log10(float(samples.square().sum() / (again - samples).square().sum()))


@pytest.mark.parametrize("length", LENGTHS)
def test_synthesis_returns_the_signal(filterbank: PQMF, length: int) -> None:
    samples = 0.3 * torch.randn(2, 3, length, generator=torch.Generator().manual_seed(length))
    bands = filterbank.analysis(samples)
    assert bands.shape == (2, 3, BANDS, filterbank.band_length(length))
    again = filterbank.synthesis(bands, length)
    assert again.shape == samples.shape
    assert _snr(samples, again) > 100


def test_synthesis_returns_a_song(filterbank: PQMF, excerpt: Path) -> None:
    song = torch.from_numpy(read_audio(excerpt)[0])
    again = filterbank.synthesis(filterbank.analysis(song), song.shape[-1])
    assert _snr(song, again) > 100


def test_our_filters_are_exact_to_rounding() -> None:
    bank = PQMF()
    samples = torch.randn(1, 20011, generator=torch.Generator().manual_seed(0))
    assert _snr(samples, bank.synthesis(bank.analysis(samples), 20011)) > 130


@pytest.mark.parametrize("band", range(BANDS))
def test_a_band_passes_its_frequencies_only(band: int) -> None:
    """Tones within the band pass; tones half a band away are attenuated by 62 dB."""
    samples = torch.arange(8000)
    bank = PQMF()
    for position in torch.arange(0.05, BANDS, 0.1).tolist():  # in bands
        tone = torch.sin(math.pi * position / BANDS * samples)
        level = bank.analysis(tone)[band, 100:-100].square().mean().mul(2).sqrt()
        distance = max(band - position, position - band - 1)
        if distance < -0.4:
            assert level == pytest.approx(1, abs=0.02)
        elif distance > 0.5:
            assert 20 * math.log10(float(level)) < -62


@pytest.mark.parametrize("filters", ["analysis_filters", "synthesis_filters"])
def test_stop_bands_are_deep(filters: str) -> None:
    response = torch.fft.rfft(getattr(PQMF(), filters), 8192).abs()
    position = torch.arange(4097) / 1024  # in bands
    for band in range(BANDS):
        outside = (position < band - 0.5) | (position > band + 1.5)
        loss = response[band, outside].max() / response[band].max()
        assert 20 * math.log10(float(loss)) < -62


def test_linear() -> None:
    bank = PQMF()
    first, second = torch.randn(2, 3001, generator=torch.Generator().manual_seed(1))
    together = bank.analysis(2 * first - second)
    parts = 2 * bank.analysis(first) - bank.analysis(second)
    torch.testing.assert_close(together, parts, atol=1e-6, rtol=1e-5)


def test_keeps_energy() -> None:
    """The bank is orthogonal: at a quarter of the rate, bands hold a quarter of the energy."""
    samples = torch.randn(4002, generator=torch.Generator().manual_seed(2))
    energy = PQMF().analysis(samples).square().sum()
    torch.testing.assert_close(4 * energy, samples.square().sum(), rtol=1e-5, atol=0)


def test_autocast_does_not_lower_the_precision() -> None:
    bank = PQMF()
    samples = torch.randn(2, 1001)
    with torch.autocast("cpu", torch.bfloat16):
        again = bank.synthesis(bank.analysis(samples), 1001)
    assert _snr(samples, again) > 100


def test_a_wrong_length_is_refused() -> None:
    bank = PQMF()
    with pytest.raises(ValueError, match=r"expected bands \[..., 4, 17\] for 4 samples"):
        bank.synthesis(bank.analysis(torch.randn(5)), 4)


def test_bands_are_those_of_the_published_checkpoints(shared: Path) -> None:
    held = np.load(shared / "parity" / "bytesep_resunet143_subbandtime.npz")
    filters = np.load(shared / "parity" / "bytesep_pqmf_filters.npz")
    bank = PQMF()
    theirs = torch.from_numpy(filters["pqmf.ana_conv_filter.weight"])
    bank.analysis_filters.copy_(theirs.squeeze(1))
    bands = bank.analysis(torch.from_numpy(held["input"])).flatten(0, 1)
    np.testing.assert_allclose(bands.numpy(), held["subbands"], rtol=0, atol=1e-6)


def test_the_angles_are_where_the_stop_band_is_deepest() -> None:
    """L-BFGS from the rounded angles returns to them, and to the same energy."""
    best = torch.tensor(_ANGLES, dtype=torch.float64)
    angles = (100 * best).round().div(100).requires_grad_()
    optimizer = torch.optim.LBFGS([angles], 1, 1500, history_size=30, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = _stop_band(angles).log()
        value.backward()
        return value

    optimizer.step(loss)
    found = float(_stop_band(angles.detach()))
    assert float(_stop_band(best)) == pytest.approx(found, rel=0.01)
    assert 10 * math.log10(found) < -72
    assert (angles - best).abs().max() < 0.01


def _stop_band(angles: Tensor) -> Tensor:
    """Return the share of the prototype's energy above an eighth of the sample rate.

    The power at a frequency is the cosine series of the autocorrelation; integrated term by term.
    """
    taps = prototype(angles)
    edge = math.pi / BANDS  # radians per sample
    lag = torch.arange(1, len(taps), dtype=taps.dtype)
    correlation = torch.stack([taps[:-k] @ taps[k:] for k in range(1, len(taps))])
    below = edge + 2 * (correlation * (edge * lag).sin() / lag).sum() / (taps @ taps)
    return 1 - below / math.pi


@pytest.mark.parametrize("padding", ["zeros", "reflect", "full"])
@pytest.mark.parametrize("length", [1, 100, 1001, 8191])
def test_frames_return_the_signal(length: int, padding: Padding) -> None:
    stft = SubbandSTFT(64, 16, padding)
    samples = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(length))
    frames = stft(samples)
    assert frames.shape == (2, 3, stft.bins, stft.frame_count(length))
    assert _snr(samples, stft.inverse(frames, length)) > 100


@pytest.mark.parametrize("padding", ["zeros", "reflect", "full"])
def test_length_makes_exactly_so_many_frames(padding: Padding) -> None:
    stft = SubbandSTFT(64, 16, padding)
    for frames in (12, 13, 40):
        assert stft.frame_count(stft.length(frames)) == frames
    assert stft.length(2) == 1


def test_needs_a_sample() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        SubbandSTFT(64, 16)(torch.zeros(2, 0))


@pytest.mark.parametrize("hertz", [400, 3000, 7000, 9500, 12000, 15000, 17500, 21000])
def test_a_tone_is_loudest_at_its_frequency(hertz: float) -> None:
    stft = SubbandSTFT(256, 64)
    tone = torch.sin(2 * math.pi * hertz / 44100 * torch.arange(44100))
    level = stft(tone).abs().mean(-1)
    frequencies = stft.frequencies(44100)
    assert frequencies.shape == (stft.bins,)
    assert abs(float(frequencies[level.argmax()]) - hertz) <= 44100 / 4 / 256
