"""Speed, pitch and tempo: resampling, and a phase vocoder.

All stems of an item change alike. Items that become shorter are continued from their start, with a
crossfade.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...frontends import STFT
from .chance import Chance
from .config import PitchConfig, SpeedConfig

# Seconds of the crossfade from the end of an excerpt to its start.
_FADE = 0.01
# Approximate window of the phase vocoder in seconds; rounded up to a power of two.
_FRAME = 0.04


def change_speed(samples: Tensor, config: SpeedConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return items ``[K, S, C, N]`` at another speed; pitch and formants change with it."""
    speeds = chance.ratio(config.speed, len(samples)).tolist()
    fade = round(_FADE * sample_rate)
    played = [
        play_at_speed(item, speed, fade, samples.shape[-1])
        for item, speed in zip(samples, speeds, strict=True)
    ]
    return torch.stack(played)


def change_pitch(samples: Tensor, config: PitchConfig, sample_rate: int, chance: Chance) -> Tensor:
    """Return items ``[K, S, C, N]`` at another pitch and tempo."""
    semitones = chance.uniform(config.semitones, len(samples)).tolist()
    tempi = chance.ratio(config.tempo, len(samples)).tolist()
    n_fft = 2 ** max(4, round(_FRAME * sample_rate).bit_length())
    stft = STFT(n_fft, n_fft // 4).to(samples.device)
    fade = round(_FADE * sample_rate)
    changed = []
    for item, rise, tempo in zip(samples, semitones, tempi, strict=True):
        # Stretch in time, then play faster: both together change the pitch.
        pitch = 2 ** (rise / 12)
        longer = time_stretch(item, tempo / pitch, stft)
        changed.append(play_at_speed(longer, pitch, fade, samples.shape[-1]))
    return torch.stack(changed)


def play_at_speed(samples: Tensor, speed: float, fade: int, length: int) -> Tensor:
    """Return ``[..., length]`` samples of a loop of ``samples`` ``[..., N]`` played at a speed."""
    loop = _looped(samples, min(fade, samples.shape[-1] // 4))
    once = _resampled(loop, max(1, round(loop.shape[-1] / speed)))
    times = -(-length // once.shape[-1])
    return once.repeat(*[1] * (once.ndim - 1), times)[..., :length]


def time_stretch(samples: Tensor, rate: float, stft: STFT) -> Tensor:
    """Return samples ``[..., C, N]`` stretched to N / ``rate`` samples at the same pitch.

    A phase vocoder (Flanagan and Golden 1966), which changes the distance of frames and keeps the
    phase advance of each bin. Bins around a spectral peak follow the peak (Laroche and Dolson
    1999), and all channels follow the loudest one, which keeps the stereo image.
    """
    length = max(1, round(samples.shape[-1] / rate))
    frames = F.pad(stft(samples), (0, 2))  # [..., C, F, T + 2]
    places = torch.arange(stft.frame_count(length), device=samples.device) * rate
    places = places.clamp(max=frames.shape[-1] - 2)
    before = places.long()
    earlier, later = frames[..., before], frames[..., before + 1]
    magnitude = earlier.abs().lerp(later.abs(), places - before)
    loudest = frames.abs().sum((-2, -1)).argmax(-1)[..., None, None, None]
    loudest = loudest.expand(*earlier.shape[:-3], 1, *earlier.shape[-2:])
    turns = _turns(earlier.gather(-3, loudest), later.gather(-3, loudest))
    return stft.inverse(torch.polar(magnitude, earlier.angle() + turns), length)


def _turns(earlier: Tensor, later: Tensor) -> Tensor:
    """Return the angles ``[..., F, T]`` to add to frames so that each continues the previous one.

    Args:
        earlier: the frames to output.
        later: the frame one hop after each of them in the input.
    """
    jumps = later.angle()[..., :-1] - earlier.angle()[..., 1:]
    peaks = _nearest_peaks(earlier.abs())
    turns = [torch.zeros_like(jumps[..., 0])]
    for jump, peak in zip(jumps.unbind(-1), peaks[..., 1:].unbind(-1), strict=True):
        turns.append((turns[-1] + jump).gather(-1, peak))
    return torch.stack(turns, -1)


def _nearest_peaks(magnitude: Tensor) -> Tensor:
    """Return the nearest spectral peak in the frame of each bin ``[..., F, T]``."""
    rows = magnitude.movedim(-2, -1)
    highest = F.max_pool1d(rows.flatten(0, -3), 5, 1, 2).reshape(rows.shape)
    bins = torch.arange(rows.shape[-1], device=rows.device)
    last = 2 * rows.shape[-1]  # farther than any bin
    below = bins.where(rows >= highest, -last).cummax(-1).values
    above = bins.where(rows >= highest, 2 * last).flip(-1).cummin(-1).values.flip(-1)
    return below.where(bins - below <= above - bins, above).movedim(-1, -2)


def _looped(samples: Tensor, fade: int) -> Tensor:
    """Return samples ``[..., N - fade]`` that loop seamlessly."""
    if not fade:
        return samples
    rising = torch.linspace(0, 1, fade, device=samples.device)
    start = samples[..., -fade:].lerp(samples[..., :fade], rising)
    return torch.cat([start, samples[..., fade:-fade]], -1)


def _resampled(loop: Tensor, length: int) -> Tensor:
    """Return a loop of samples ``[..., N]`` resampled to ``length`` samples, band-limited.

    This is exact except for the highest frequency, since a loop is a sum of its FFT bins.
    """
    bins = (min(loop.shape[-1], length) + 1) // 2
    spectrum = torch.fft.rfft(loop)[..., :bins]
    resampled: Tensor = torch.fft.irfft(spectrum, length)
    return resampled * (length / loop.shape[-1])
