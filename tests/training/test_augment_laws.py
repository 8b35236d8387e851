"""Each augmentation on sounds with a known result."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from unmix.frontends import STFT
from unmix.training.augment.chance import Chance
from unmix.training.augment.codec import quantisation, simulate_codec
from unmix.training.augment.config import (
    BandConfig,
    BlendConfig,
    CodecConfig,
    CompressionConfig,
    DoublingConfig,
    Effect,
    LevelConfig,
    LimiterConfig,
    PitchConfig,
    ReverbConfig,
    SaturationConfig,
    SpeedConfig,
    StereoConfig,
)
from unmix.training.augment.doubling import add_doubling, delayed, pan
from unmix.training.augment.dynamics import compress, limit, saturate
from unmix.training.augment.filters import equalise, limit_band
from unmix.training.augment.gain import change_gain, invert, level, swap_channels
from unmix.training.augment.mixing import blend, remix
from unmix.training.augment.reverb import add_reverb, decaying
from unmix.training.augment.speed_pitch import (
    change_pitch,
    change_speed,
    play_at_speed,
    time_stretch,
)
from unmix.training.augment.stereo import change_stereo

RATE = 8000


@pytest.fixture
def chance() -> Chance:
    return Chance(torch.Generator().manual_seed(5), torch.device("cpu"))


def _sine(frequency: float, length: int = RATE, items: int = 1) -> Tensor:
    """Return ``[items, 1, 2, length]``, with the right channel a quarter period after the left."""
    turn = 2 * math.pi * frequency * torch.arange(length, dtype=torch.float64) / RATE
    return torch.stack([turn.sin(), -turn.cos()]).float().expand(items, 1, 2, length)


def _noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(9))


def _frequency(samples: Tensor) -> float:
    """Return the frequency of the spectral peak of ``[N]`` in Hz, interpolated between bins."""
    length = samples.shape[-1]
    power = torch.fft.rfft(samples * torch.hann_window(length)).abs().square()
    peak = int(power.argmax())
    near = torch.arange(peak - 2, peak + 3)
    return float((power[near] * near).sum() / power[near].sum()) * RATE / length


def _decibels(ratio: Tensor | float) -> Tensor:
    return 20 * torch.as_tensor(ratio).log10()


def test_a_gain_is_one_factor_for_each_stem(chance: Chance) -> None:
    samples = _noise(3, 2, 2, 50)
    factors = change_gain(samples, LevelConfig(decibels=(-6, 6)), RATE, chance) / samples
    torch.testing.assert_close(factors, factors[..., :1, :1].expand_as(factors))
    gains = _decibels(factors[..., 0, 0])
    assert gains.min() >= -6.01
    assert gains.max() <= 6.01
    assert len(gains.unique()) == 6


def test_channels_and_polarity_come_back_when_changed_twice(chance: Chance) -> None:
    samples = _noise(3, 2, 2, 50)
    assert torch.equal(swap_channels(samples, 1.0, chance), samples.flip(2))
    assert torch.equal(invert(samples, 1.0, chance), -samples)
    some = swap_channels(_noise(100, 2, 2, 5), 0.5, chance) == _noise(100, 2, 2, 5)
    assert 0.35 < some.all((2, 3)).float().mean() < 0.65


@pytest.mark.parametrize("width", [0.0, 0.5, 1.0, 2.0])
def test_width_is_a_gain_of_the_side(width: float, chance: Chance) -> None:
    def of(samples: Tensor) -> tuple[Tensor, Tensor]:
        left, right = samples.unbind(2)
        return left + right, left - right

    samples = _noise(3, 2, 2, 50)
    changed = change_stereo(
        samples, StereoConfig(width=(width, width), balance=(0, 0)), RATE, chance
    )
    torch.testing.assert_close(level(changed), level(samples))
    (middle, side), (before, side_before) = of(changed), of(samples)
    gain = middle / before
    torch.testing.assert_close(gain, gain[..., :1].expand_as(gain))
    torch.testing.assert_close(side, width * gain * side_before)


def test_balance_is_between_left_and_right_and_keeps_the_level(chance: Chance) -> None:
    samples = _noise(40, 2, 1, 50).expand(40, 2, 2, 50)
    changed = change_stereo(samples, StereoConfig(balance=(-4, 4)), RATE, chance)
    torch.testing.assert_close(level(changed), level(samples))
    left, right = (level(channel.unsqueeze(2)) for channel in changed.unbind(2))
    balance = _decibels(left / right)
    assert -4.01 < balance.min() < -3
    assert 3 < balance.max() < 4.01
    torch.testing.assert_close(changed[:, :, 0] * right[..., 0], changed[:, :, 1] * left[..., 0])


def test_what_mono_all_but_cancels_is_not_brought_up_to_what_it_was(chance: Chance) -> None:
    left = _noise(3, 2, 1, 50)
    samples = torch.cat([left, 1e-3 * _noise(3, 2, 1, 50) - left], 2)
    changed = change_stereo(samples, StereoConfig(width=(0, 0), balance=(0, 0)), RATE, chance)
    middle = samples.mean(2, keepdim=True).expand_as(samples)
    torch.testing.assert_close(changed, 4 * middle)


def test_remixing_deals_every_stem_out_once(chance: Chance) -> None:
    references = torch.arange(40.0).reshape(20, 2, 1, 1)
    dealt = remix(references, Effect(share=1), chance)
    assert torch.equal(dealt.sort(0).values, references)
    assert not torch.equal(dealt[:, 1] - dealt[:, 0], references[:, 1] - references[:, 0])
    kept = remix(references, Effect(share=0.5), chance) == references
    assert 0.2 < kept.all(1).float().mean() < 0.8
    assert torch.equal(remix(references[:1], Effect(share=1), chance), references[:1])


def test_blending_adds_the_same_stem_of_another_item(chance: Chance) -> None:
    references = 2.0 ** torch.arange(12).reshape(6, 2, 1, 1)
    added = blend(references, BlendConfig(share=1), chance) - references
    for stem in range(2):
        others = references[:, stem].flatten().tolist()
        for item, value in enumerate(added[:, stem].flatten().tolist()):
            assert value in others
            assert value != others[item]
    softer = blend(references, BlendConfig(share=1, decibels=(-20, -20)), chance) - references
    assert set((10 * softer).flatten().log2().round().tolist()) <= set(range(12))
    assert torch.equal(blend(references[:1], BlendConfig(share=1), chance), references[:1])


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.25])
def test_speed_moves_the_pitch_and_keeps_the_level(speed: float, chance: Chance) -> None:
    sine = _sine(400)
    played = change_speed(sine, SpeedConfig(speed=(speed, speed)), RATE, chance)
    assert _frequency(played[0, 0, 0]) == pytest.approx(400 * speed, abs=1)
    torch.testing.assert_close(level(played), level(sine), rtol=0.02, atol=0)


def test_at_its_own_speed_a_sound_is_what_it_was() -> None:
    noise = _noise(2, 999)
    torch.testing.assert_close(play_at_speed(noise, 1.0, 0, 999), noise, rtol=0, atol=1e-5)
    # A loop of whole periods has no seam.
    sine = _sine(400)[0, 0]
    torch.testing.assert_close(play_at_speed(sine, 1.0, 80, 8000), sine, rtol=0, atol=1e-5)


def test_a_sound_above_what_the_rate_can_hold_is_left_out() -> None:
    assert play_at_speed(_sine(3000)[0, 0], 1.5, 0, RATE).abs().max() < 1e-3


@pytest.mark.parametrize(("semitones", "tempo"), [(0, 0.8), (4, 1.0), (-3, 1.2), (0, 1.0)])
def test_pitch_and_tempo_change_apart(semitones: float, tempo: float, chance: Chance) -> None:
    config = PitchConfig(semitones=(semitones, semitones), tempo=(tempo, tempo))
    # A tone between silences: its start tells the tempo, and its frequency the pitch.
    time = torch.arange(3 * RATE) / RATE
    tone = _sine(400, 3 * RATE) * ((time >= 0.5) & (time < 2))
    changed = change_pitch(tone, config, RATE, chance)[0, 0, 0]
    onset = int((changed.abs() > 0.5).nonzero()[0])
    assert onset == pytest.approx(RATE / 2 / tempo, abs=0.03 * RATE)
    steady = changed[onset + 1000 : onset + 7000]
    assert _frequency(steady) == pytest.approx(400 * 2 ** (semitones / 12), rel=0.005)
    assert float(steady.square().mean()) == pytest.approx(0.5, rel=0.05)


def test_stretching_keeps_what_is_between_the_channels() -> None:
    stft = STFT(512, 128)
    noise = _noise(1, 8000)
    pair = torch.cat([noise, -0.5 * noise])
    torch.testing.assert_close(time_stretch(pair, 1.0, stft), pair, rtol=0, atol=1e-4)
    slower = time_stretch(pair, 0.8, stft)
    assert slower.shape == (2, 10000)
    torch.testing.assert_close(slower[1], -0.5 * slower[0], rtol=0, atol=1e-4)


def test_an_equaliser_is_a_gain_for_every_frequency(chance: Chance) -> None:
    for frequency in (100, 440, 1000, 3100):
        sine = _sine(frequency, items=20)
        heard = equalise(sine, LevelConfig(decibels=(-9, 3)), RATE, chance)[..., 1000:-1000]
        gains = _decibels(level(heard) / level(sine))
        assert gains.min() > -9.1
        assert gains.max() < 3.1
        assert gains.std() > 1
    flat = _noise(2, 2, 2, 5000)
    heard = equalise(flat, LevelConfig(decibels=(6, 6)), RATE, chance)
    torch.testing.assert_close(heard, flat * 10 ** (6 / 20), rtol=0, atol=1e-4)


def test_a_band_limit_keeps_what_is_below_and_nothing_above(chance: Chance) -> None:
    config = BandConfig(cutoff=(2000, 2000))
    low, high = _sine(1900), _sine(2300)
    kept = limit_band(low, config, RATE, chance)[..., 500:-500]
    torch.testing.assert_close(kept, low[..., 500:-500], rtol=0, atol=1e-3)
    assert limit_band(high, config, RATE, chance)[..., 500:-500].abs().max() < 1e-3


def test_a_room_answers_an_impulse_after_it_and_dies_away(chance: Chance) -> None:
    impulse = torch.zeros(1, 1, 2, RATE)
    impulse[..., 100] = 1
    config = ReverbConfig(decay=(0.5, 0.5), decibels=(-10, -10))
    heard = add_reverb(impulse, config, RATE, chance) - impulse
    assert heard[..., :139].abs().max() < 0.02 * heard.abs().max()
    assert not torch.allclose(heard[0, 0, 0], heard[0, 0, 1])
    assert float(_decibels(heard.square().sum(-1).mean().sqrt())) == pytest.approx(-10, abs=1)
    # What is left after a time t falls by 60 dB in every half second.
    left = 10 * heard[0, 0].square().sum(0).flip(0).cumsum(0).flip(0).log10()
    assert float(left[400] - left[2400]) == pytest.approx(30, abs=3)


def test_reverberation_is_linear_and_of_the_level_asked_for() -> None:
    noise = _noise(4, 1, 2, 2 * RATE)

    def heard(samples: Tensor) -> Tensor:
        chance = Chance(torch.Generator().manual_seed(2), samples.device)
        config = ReverbConfig(decay=(0.3, 0.3), decibels=(-12, -12))
        return add_reverb(samples, config, RATE, chance)

    torch.testing.assert_close(heard(noise) + heard(-0.5 * noise), 0.5 * heard(noise))
    wet = _decibels(level((heard(noise) - noise)[..., RATE:]) / level(noise))
    torch.testing.assert_close(wet, torch.full_like(wet, -12.0), rtol=0, atol=1.5)


def test_decaying_noise_falls_by_60_db() -> None:
    shape = decaying(torch.ones(1001), torch.tensor(500.0), torch.tensor(100.0))
    assert not shape[:100].any()
    torch.testing.assert_close(shape[[100, 600]], torch.tensor([1.0, 1e-3]), rtol=1e-4, atol=0)


def test_compression_divides_what_is_above_the_threshold(chance: Chance) -> None:
    loudness = torch.where(torch.arange(2 * RATE) < RATE, 1.0, 0.1)
    steps = _sine(500, 2 * RATE) * loudness
    config = CompressionConfig(threshold=(-40, -40), ratio=(4, 4))
    pressed = compress(steps, config, RATE, chance)
    torch.testing.assert_close(level(pressed), level(steps))
    loud, soft = level(pressed[..., 4000:8000]), level(pressed[..., 12000:])
    assert float(_decibels(loud / soft)) == pytest.approx(20 / 4, abs=0.2)
    even = _sine(500)
    torch.testing.assert_close(compress(even, config, RATE, chance), even, rtol=0, atol=1e-2)
    assert (pressed * steps >= 0).all()


def test_saturation_is_odd_rises_and_keeps_the_level(chance: Chance) -> None:
    ramp = torch.linspace(-3, 3, 301).expand(1, 1, 1, 301)
    bent = saturate(ramp, SaturationConfig(drive=(6, 6)), RATE, chance)
    torch.testing.assert_close(bent, -bent.flip(-1), rtol=0, atol=1e-5)
    assert (bent.diff() > 0).all()
    torch.testing.assert_close(level(bent), level(ramp))
    assert bent.max() < 0.8 * ramp.max()
    hardly = saturate(ramp, SaturationConfig(drive=(-60, -60)), RATE, chance)
    torch.testing.assert_close(hardly, ramp, rtol=0, atol=1e-3)


def test_a_limiter_keeps_below_full_scale_with_one_gain_for_all(chance: Chance) -> None:
    stems = _noise(3, 3, 2, RATE) * torch.linspace(0, 20, RATE).sin() ** 8 + 0.01
    limited = limit(stems, LimiterConfig(loudness=(-6, -3)), RATE, chance)
    mixture = limited.sum(1)
    assert mixture.abs().max() <= 1 + 1e-5
    assert mixture.abs().max() > 0.8
    gains = limited / stems
    torch.testing.assert_close(gains, gains[:, :1, :1].expand_as(gains), rtol=1e-3, atol=1e-3)
    # It moves slowly: no step from one sample to the next.
    assert gains.diff().abs().max() < 0.02 * gains.max()


def test_a_limiter_makes_a_mixture_as_loud_as_asked_where_it_can(chance: Chance) -> None:
    stems = 0.01 * _sine(300).repeat(1, 2, 1, 1)
    loud = limit(stems, LimiterConfig(loudness=(-12, -12)), RATE, chance)
    assert float(_decibels(level(loud.sum(1)))) == pytest.approx(-12, abs=1e-3)
    # Nearly nothing does not become a loud noise.
    faint = limit(1e-6 * stems, LimiterConfig(loudness=(-12, -12)), RATE, chance)
    assert level(faint.sum(1)) < 1e-6


def test_a_copy_late_by_whole_samples_is_the_sound_moved() -> None:
    noise = _noise(1, 2, 500)
    late = delayed(noise, torch.full((1, 1, 500), 7.0))
    assert torch.equal(late[..., 7:], noise[..., :-7])
    assert not late[..., :7].any()
    half = delayed(noise, torch.full((1, 1, 500), 0.5))
    torch.testing.assert_close(half[..., 1:], (noise[..., 1:] + noise[..., :-1]) / 2)
    assert torch.equal(delayed(noise, torch.zeros(1, 1, 500)), noise)


def test_doubling_adds_late_copies_that_are_hardly_out_of_tune(chance: Chance) -> None:
    click = torch.zeros(1, 1, 2, RATE)
    click[..., 1000] = 1
    config = DoublingConfig(voices=3, delay=(0.02, 0.03), detune=(5, 5))
    added = (add_doubling(click, config, RATE, chance) - click).abs().amax((0, 1, 2)).nonzero()
    assert int(added.min()) >= 1000 + 0.02 * RATE
    assert int(added.max()) <= 1000 + 0.035 * RATE + 2 * RATE * (2 ** (5 / 1200) - 1)
    one = DoublingConfig(voices=1, detune=(20, 20), decibels=(0, 0))
    sine = _sine(1000)
    copy = (add_doubling(sine, one, RATE, chance) - sine)[0, 0, 0, 1000:]
    assert abs(1200 * math.log2(_frequency(copy) / 1000)) < 20


def test_panning_keeps_the_power() -> None:
    place = torch.linspace(-1, 1, 9).reshape(9, 1, 1)
    gains = pan(place, 2)
    torch.testing.assert_close(gains.square().sum(1), torch.full((9, 1), 2.0))
    torch.testing.assert_close(gains[4], torch.ones(2, 1))
    assert torch.equal(pan(place, 1), torch.ones(9, 1, 1))


def test_quantised_magnitudes_are_whole_steps() -> None:
    magnitude = _noise(20, 30).abs()
    factor = quantisation(magnitude, torch.full((20, 1), 6.0))
    assert factor.min() == 0
    assert factor.max() <= 2
    level_of_band = magnitude[:8].square().mean(0).sqrt()
    steps = (magnitude * factor)[:8] / (level_of_band * 10 ** (-6 / 20))
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-4)
    assert not quantisation(torch.zeros(9, 3), torch.zeros(9, 1)).any()


def test_a_codec_of_more_precision_is_closer_and_none_goes_above_its_cutoff(
    chance: Chance,
) -> None:
    sound = _noise(1, 1, 1, RATE)
    near, far = (
        simulate_codec(sound, CodecConfig(cutoff=(3900, 3900), precision=(p, p)), RATE, chance)
        for p in (40, 0)
    )
    assert level(near - sound) < 0.75 * level(far - sound)
    narrow = simulate_codec(sound, CodecConfig(cutoff=(2000, 2000)), RATE, chance)
    spectrum = torch.fft.rfft(narrow).abs()[0, 0, 0]
    assert spectrum[2100:].max() < 0.05 * spectrum[:2000].max()
