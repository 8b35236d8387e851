"""Which augmentations a run uses, how often and how far: tables that all default to none.

A ``share`` is of items: each item is changed with that chance, on its own. Levels are in dB.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ...config import Settings


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("the lower end of a range comes first")
    return limits


def _positive(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] <= 0:
        raise ValueError("the range has to lie above 0")
    return limits


def _not_negative(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] < 0:
        raise ValueError("the range may not lie below 0")
    return limits


#: Lowest and highest value that is drawn, in that order.
Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
PositiveRange = Annotated[Range, AfterValidator(_positive)]
NaturalRange = Annotated[Range, AfterValidator(_not_negative)]


class Effect(Settings):
    """Something that is done to a share of the items."""

    share: float = Field(default=0.0, ge=0, le=1)
    """Share of items that it is done to; 0 for none."""


class ChannelsConfig(Settings):
    """What becomes of left and right, of each stem by itself. Shares are of stems of items."""

    swap: float = Field(default=0.0, ge=0, le=1)
    """Share whose channels are reversed."""
    invert: float = Field(default=0.0, ge=0, le=1)
    """Share whose polarity is reversed."""


class LevelConfig(Effect):
    """A gain, drawn for each stem."""

    decibels: Range = (-6.0, 6.0)


class BlendConfig(Effect):
    """A stem sounds together with the same stem of another item: two singers, two bands.

    The mix-audio augmentation of Kong et al. (ISMIR 2021).
    """

    decibels: Range = (0.0, 0.0)
    """Gain of the second; in the paper both are as they are."""


class StereoConfig(Effect):
    """The stereo image of each stem, of two channels only.

    Each is at the level that it had, unless narrowing takes more than 12 dB of it.
    """

    width: NaturalRange = (0.0, 1.5)
    """Gain of half the difference of left and right: 0 makes a stem mono, above 1 it is wider. Of
    what is mono there is none."""
    balance: Range = (-4.0, 4.0)
    """How much louder left becomes than right."""


class SpeedConfig(Effect):
    """An item as if a tape ran faster or slower: tempo, pitch and formants together."""

    speed: PositiveRange = (0.94, 1.06)
    """Above 1, faster and higher."""


class PitchConfig(Effect):
    """Pitch and tempo of an item apart from each other, by a phase vocoder."""

    semitones: Range = (-2.0, 2.0)
    tempo: PositiveRange = (0.9, 1.1)
    """Above 1, faster."""


class SaturationConfig(Effect):
    """Each stem through a soft clipper, at the level that it had."""

    drive: Range = (-6.0, 12.0)
    """Level at which the root mean square enters ``tanh``, whose output ends at 0 dB."""


class CompressionConfig(Effect):
    """The voice with less difference between loud and soft, at the level that it had."""

    threshold: Range = (-15.0, 0.0)
    """Against the root mean square of the excerpt."""
    ratio: PositiveRange = (2.0, 6.0)
    """dB in for each dB out, well above the threshold."""


class DoublingConfig(Effect):
    """The voice with copies of itself, each late, wavering in pitch, and panned."""

    voices: int = Field(default=2, ge=1)
    """Copies beside the voice itself."""
    delay: PositiveRange = (0.012, 0.04)
    """Seconds."""
    detune: PositiveRange = (2.0, 20.0)
    """Cents by which the pitch of a copy wavers, at the most."""
    decibels: Range = (-12.0, -3.0)
    """Gain of a copy."""


class ReverbConfig(Effect):
    """The voice in a room: noise that decays, in each channel its own."""

    decay: PositiveRange = (0.2, 1.5)
    """Seconds until the reverberation has fallen by 60 dB."""
    decibels: Range = (-20.0, -6.0)
    """Level of the reverberation of a steady sound, against the sound."""


class VoiceConfig(Settings):
    """What is done to voices in a studio; needs the stem ``vocals``. In the order of the tables."""

    compression: CompressionConfig = CompressionConfig()
    doubling: DoublingConfig = DoublingConfig()
    reverb: ReverbConfig = ReverbConfig()


class LimiterConfig(Effect):
    """The mixture made loud: full scale is never exceeded, by one gain that all stems share."""

    loudness: Range = (-20.0, -8.0)
    """Root mean square of the mixture before it is limited, in dB of full scale."""


class BandConfig(Effect):
    """All stems without what is above a frequency, as old or thrifty recordings are."""

    cutoff: PositiveRange = (4000.0, 16000.0)
    """Hz."""


class CodecConfig(Effect):
    """Quantised frames, with holes where nothing was loud enough: what lossy codecs do.

    Decided from the mixture, and done alike to all stems.
    """

    cutoff: PositiveRange = (10000.0, 16000.0)
    """Hz above which nothing is kept."""
    precision: Range = (6.0, 24.0)
    """How far a step of the quantiser lies below the level of its band, at 0 Hz; at the cutoff
    they are equal."""


class DeliveryConfig(Settings):
    """What becomes of a finished mixture on its way. In the order of the tables."""

    limiter: LimiterConfig = LimiterConfig()
    band: BandConfig = BandConfig()
    codec: CodecConfig = CodecConfig()


class AugmentConfig(Settings):
    """Changes of a batch before the network sees it. In the order of the tables."""

    remix: Effect = Effect()
    """The items trade stems with each other."""
    blend: BlendConfig = BlendConfig()
    playback: SpeedConfig = SpeedConfig()
    pitch: PitchConfig = PitchConfig()
    equaliser: LevelConfig = LevelConfig()
    """A smooth curve of gains over frequency, drawn for each stem."""
    saturation: SaturationConfig = SaturationConfig()
    voice: VoiceConfig = VoiceConfig()
    image: StereoConfig = StereoConfig()
    gain: LevelConfig = LevelConfig()
    channels: ChannelsConfig = ChannelsConfig()
    delivery: DeliveryConfig = DeliveryConfig()
