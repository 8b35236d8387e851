"""Settings of all augmentations; each is off by default.

A ``share`` is the probability with which each item is changed, independently of the others.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ...config import Settings


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("the first number of a range must be the lower one")
    return limits


def _positive(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] <= 0:
        raise ValueError("the range must be above 0")
    return limits


def _not_negative(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] < 0:
        raise ValueError("the range must not go below 0")
    return limits


#: Lowest and highest value to draw, in this order.
Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
PositiveRange = Annotated[Range, AfterValidator(_positive)]
NaturalRange = Annotated[Range, AfterValidator(_not_negative)]


class Effect(Settings):
    """An augmentation of a share of the items."""

    share: float = Field(default=0.0, ge=0, le=1)
    """Share of items to change, in [0, 1]; 0: none."""


class ChannelsConfig(Settings):
    """Swapped channels and inverted polarity, for each stem of each item independently."""

    swap: float = Field(default=0.0, ge=0, le=1)
    """Share of stems with left and right swapped."""
    invert: float = Field(default=0.0, ge=0, le=1)
    """Share of stems with inverted polarity."""


class LevelConfig(Effect):
    """A random gain for each stem."""

    decibels: Range = (-6.0, 6.0)
    """Range of the gain in dB."""


class BlendConfig(Effect):
    """Add the same stem of another item: two singers, two bands.

    The mix-audio augmentation of Kong et al. (ISMIR 2021).
    """

    decibels: Range = (0.0, 0.0)
    """Range of the gain of the added stem in dB; the paper adds it unchanged."""


class StereoConfig(Effect):
    """Width and balance of each stem; needs two channels.

    Each stem keeps its level, unless narrowing removes more than 12 dB of it.
    """

    width: NaturalRange = (0.0, 1.5)
    """Range of the gain of the side signal (left minus right): 0 is mono, above 1 is wider. Mono
    stems do not change."""
    balance: Range = (-4.0, 4.0)
    """Range of the gain of left against right in dB."""


class SpeedConfig(Effect):
    """Playing speed, as of a tape: tempo, pitch and formants change together."""

    speed: PositiveRange = (0.94, 1.06)
    """Range of the speed factor; above 1 is faster and higher."""


class PitchConfig(Effect):
    """Pitch and tempo, independently of each other, by a phase vocoder."""

    semitones: Range = (-2.0, 2.0)
    """Range of the pitch shift in semitones."""
    tempo: PositiveRange = (0.9, 1.1)
    """Range of the tempo factor; above 1 is faster."""


class SaturationConfig(Effect):
    """Soft clipping of each stem, which keeps its level."""

    drive: Range = (-6.0, 12.0)
    """Range of the RMS level at the input of ``tanh``, in dB; its output is limited to 0 dB."""


class CompressionConfig(Effect):
    """Dynamic range compression of the vocals, which keeps their level."""

    threshold: Range = (-15.0, 0.0)
    """Range of the threshold in dB, relative to the RMS of the excerpt."""
    ratio: PositiveRange = (2.0, 6.0)
    """Range of the compression ratio, dB in per dB out, well above the threshold."""


class DoublingConfig(Effect):
    """Doubled vocals: delayed copies with wavering pitch, each panned."""

    voices: int = Field(default=2, ge=1)
    """Number of copies."""
    delay: PositiveRange = (0.012, 0.04)
    """Range of the delay of a copy in seconds."""
    detune: PositiveRange = (2.0, 20.0)
    """Range of the largest pitch deviation of a copy, in cents."""
    decibels: Range = (-12.0, -3.0)
    """Range of the gain of a copy in dB."""


class ReverbConfig(Effect):
    """Reverberation of the vocals: decaying noise, independent in each channel."""

    decay: PositiveRange = (0.2, 1.5)
    """Range of the reverberation time (RT60) in seconds."""
    decibels: Range = (-20.0, -6.0)
    """Range of the level of the reverberation of a steady sound in dB, relative to the sound."""


class VoiceConfig(Settings):
    """Studio effects on the vocals, in the order of the tables; needs the stem ``vocals``."""

    compression: CompressionConfig = CompressionConfig()
    doubling: DoublingConfig = DoublingConfig()
    reverb: ReverbConfig = ReverbConfig()


class LimiterConfig(Effect):
    """Loud mastering: a limiter on the mixture, whose gain all stems share."""

    loudness: Range = (-20.0, -8.0)
    """Range of the RMS level of the mixture before limiting, in dBFS."""


class BandConfig(Effect):
    """A low-pass filter on all stems, as in old or low-rate recordings."""

    cutoff: PositiveRange = (4000.0, 16000.0)
    """Range of the cutoff frequency in Hz."""


class CodecConfig(Effect):
    """Artefacts of lossy codecs: quantised frames, with holes in quiet bins.

    Computed from the mixture and applied to all stems alike.
    """

    cutoff: PositiveRange = (10000.0, 16000.0)
    """Range of the frequency in Hz above which nothing is kept."""
    precision: Range = (6.0, 24.0)
    """Range of the distance in dB from the level of a band down to the quantisation step, at 0 Hz;
    it falls to 0 dB at the cutoff."""


class DeliveryConfig(Settings):
    """Processing of the finished mixture, in the order of the tables."""

    limiter: LimiterConfig = LimiterConfig()
    band: BandConfig = BandConfig()
    codec: CodecConfig = CodecConfig()


class AugmentConfig(Settings):
    """Changes to a batch before the network sees it, in the order of the tables."""

    remix: Effect = Effect()
    """Exchange of stems between the items of a batch."""
    blend: BlendConfig = BlendConfig()
    playback: SpeedConfig = SpeedConfig()
    pitch: PitchConfig = PitchConfig()
    equaliser: LevelConfig = LevelConfig()
    """A random smooth equaliser curve for each stem; the gains of its bands are in dB."""
    saturation: SaturationConfig = SaturationConfig()
    voice: VoiceConfig = VoiceConfig()
    image: StereoConfig = StereoConfig()
    gain: LevelConfig = LevelConfig()
    channels: ChannelsConfig = ChannelsConfig()
    delivery: DeliveryConfig = DeliveryConfig()
