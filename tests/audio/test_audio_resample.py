from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.audio import Resampler, resample, resampled_length

RATES = [(48000, 44100), (44100, 48000), (44100, 16000), (16000, 44100), (8000, 192000)]


def noise(length, channels=2):
    return np.random.default_rng(3).standard_normal((channels, length)).astype(np.float32)


@pytest.mark.parametrize(("source", "target"), [*RATES, (44100, 22050), (44100, 44100)])
@pytest.mark.parametrize("length", [0, 1, 2, 999, 50001])
def test_length_is_exact(source, target, length):
    output = resample(noise(length), source, target)
    assert output.shape == (2, round(Fraction(length * target, source)))
    assert output.shape[1] == resampled_length(length, source, target)
    assert output.dtype == np.float32
    assert output.flags.c_contiguous


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("frequency", [100.0, 440.0, 3000.0])
def test_sine_keeps_frequency_and_phase(source, target, frequency):
    time = np.arange(source) / source
    output = resample(np.sin(2 * np.pi * frequency * time)[None].astype(np.float32), source, target)
    expected = np.sin(2 * np.pi * frequency * np.arange(target) / target)
    middle = slice(target // 10, -target // 10)
    assert np.abs(output[0, middle] - expected[middle]).max() < 1e-4


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("size", [1, 617, 4096, 40000])
def test_output_does_not_depend_on_the_blocks(source, target, size):
    samples = noise(3000 if size == 1 else 50001)
    stream = Resampler(source, target, 2)
    parts = [
        stream.push(samples[:, start : start + size]) for start in range(0, samples.shape[1], size)
    ]
    assert np.array_equal(
        np.concatenate([*parts, stream.finish()], axis=1), resample(samples, source, target)
    )


@settings(max_examples=20, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 5000), max_size=12),
    rates=st.sampled_from(RATES),
)
def test_any_cutting_gives_the_same(cuts, rates):
    samples = noise(5000, channels=1)
    stream = Resampler(*rates, 1)
    parts = np.split(samples, sorted(cuts), axis=1)
    output = [stream.push(part) for part in parts]
    assert np.array_equal(
        np.concatenate([*output, stream.finish()], axis=1), resample(samples, *rates)
    )


@pytest.mark.parametrize("other", [44100, 96000])
def test_round_trip_of_band_limited_noise(other):
    spectrum = np.fft.rfft(noise(96000, channels=1))
    spectrum[:, (19000 * 2) :] = 0  # bins of half a hertz: nothing above 19 kHz
    samples = np.fft.irfft(spectrum).astype(np.float32)
    back = resample(resample(samples, 48000, other), other, 48000)
    assert back.shape == samples.shape
    middle = slice(2000, -2000)
    error = np.sum((back - samples)[:, middle] ** 2) / np.sum(samples[:, middle] ** 2)
    assert 10 * np.log10(error) < -75


def test_equal_rates_pass_through():
    samples = noise(100)
    assert resample(samples, 44100, 44100) is not samples
    assert np.array_equal(resample(samples, 44100, 44100), samples)


def test_silence_stays_silent_and_the_input_untouched():
    samples = np.zeros((2, 1000), np.float32)
    assert not resample(samples, 44100, 48000).any()
    loud = noise(1000)
    copy = loud.copy()
    resample(loud, 44100, 48000)
    assert np.array_equal(loud, copy)


def test_wrong_shapes_and_rates_are_refused():
    with pytest.raises(ValueError, match="channel, sample"):
        resample(np.zeros(10, np.float32), 44100, 48000)
    with pytest.raises(ValueError, match="positive"):
        Resampler(0, 44100, 2)
    with pytest.raises(ValueError, match=r"\[2, n\]"):
        Resampler(44100, 48000, 2).push(np.zeros((10, 2), np.float32))
