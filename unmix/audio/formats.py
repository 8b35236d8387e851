"""The file formats that can be written, their options and limits, and which is like a song's."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, Self, cast, get_args

from ..errors import AudioError, ConfigError
from .info import AudioInfo

FormatName = Literal["wav", "flac", "aiff", "mp3", "ogg", "opus", "m4a"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)

_BIT_DEPTHS: dict[FormatName, tuple[int, ...]] = {
    "wav": (16, 24, 32),
    "flac": (16, 24),
    "aiff": (16, 24),
}
_BITRATES: dict[FormatName, int] = {"mp3": 320_000, "ogg": 256_000, "opus": 192_000, "m4a": 256_000}
_BITRATE_RANGES: dict[FormatName, tuple[int, int]] = {
    "ogg": (48_000, 500_000),
    "opus": (12_000, 510_000),
    "m4a": (32_000, 512_000),
}
# Below 64 kbit/s a frame has no room for the header with the exact length.
_MP3_KILOBITS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
#: Bits per second of MP3 at 32 kHz and above; lower sample rates have fewer.
MP3_BITRATES = tuple(1000 * kilobits for kilobits in _MP3_KILOBITS)
_SAMPLE_RATES: dict[FormatName, tuple[int, ...]] = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "opus": (8000, 12000, 16000, 24000, 48000),
    "m4a": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
_MAX_CHANNELS: dict[FormatName, int] = {
    "wav": 1024,
    "flac": 8,
    "aiff": 1024,
    "mp3": 2,
    "ogg": 8,
    "opus": 8,
    "m4a": 6,
}
_LOWEST_LIKE = 128_000  # bits/s: a second lossy coding below this is audible
#: Vorbis ends the whole process at 384 kHz.
_HIGHEST_RATES: dict[FormatName, int] = {"flac": 655_350, "ogg": 200_000}


@dataclass(frozen=True, kw_only=True)
class OutputFormat:
    """A file format with its options; ``parse`` makes one from a user's choices."""

    name: FormatName
    bit_depth: int | None = None
    """16, 24 or (wav only, float) 32; None for lossy formats."""
    bitrate: int | None = None
    """Bits per second of all channels together; None for lossless formats."""

    @classmethod
    def parse(
        cls, name: str, bit_depth: int | None = None, bitrate: int | str | None = None
    ) -> Self:
        """Return a format with a user's choices.

        Args:
            name: one of ``FORMATS``, in any case, with or without a leading dot.
            bit_depth: 16, 24 or 32 (float) for wav, 16 or 24 for flac and aiff; default: 16.
            bitrate: bits per second, or text for ``parse_bitrate``, for lossy formats; default:
                the usual high quality of the format.

        Raises:
            ConfigError: the format is unknown, or the choices do not fit together.
        """
        key = name.lower().removeprefix(".")
        if key not in FORMATS:
            raise ConfigError(f"unknown format {name!r}; choose from {', '.join(FORMATS)}")
        known = key
        if isinstance(bitrate, str):
            bitrate = parse_bitrate(bitrate)
        if known in _BIT_DEPTHS:
            return cls(name=known, bit_depth=_checked_depth(known, bit_depth, bitrate))
        return cls(name=known, bitrate=_checked_bitrate(known, bit_depth, bitrate))

    @property
    def extension(self) -> str:
        """Ending of a file's name, with the dot."""
        return f".{self.name}"

    @property
    def is_float(self) -> bool:
        """Whether samples above full scale are kept, which only 32-bit wav does."""
        return self.name == "wav" and self.bit_depth == 32

    @property
    def lossy(self) -> bool:
        """Whether the coding loses information."""
        return self.name not in _BIT_DEPTHS

    def sample_rate_for(self, rate: int) -> int:
        """Return the sample rate in Hz of a file for samples of a given rate.

        The same rate if the format supports it, else the next higher supported one, else (above
        all of them) 44.1 kHz for its multiples and the highest one for others.
        """
        known = _SAMPLE_RATES.get(self.name)
        if known is None or rate in known:
            return rate
        if self.name == "opus" and rate > 24000:
            return 48000
        higher = [choice for choice in known if choice > rate]
        if higher:
            return higher[0]
        return 44100 if rate % 44100 == 0 and 44100 in known else known[-1]

    def bitrate_for(self, rate: int) -> int | None:
        """Return the bit rate at a sample rate: low sample rates of MP3 have a lower maximum."""
        if self.bitrate is None or self.name != "mp3":
            return self.bitrate
        return min(self.bitrate, 320_000 if rate >= 32000 else 160_000 if rate >= 16000 else 64_000)

    def check(self, channels: int, sample_rate: int) -> None:
        """Refuse what the format cannot hold.

        Raises:
            AudioError: there are too many channels, or the sample rate is too high.
        """
        most = _MAX_CHANNELS[self.name]
        if not 1 <= channels <= most:
            remedy = "use flac or wav" if channels <= _MAX_CHANNELS["flac"] else "use wav"
            raise AudioError(f"{self.name} holds 1 to {most} channels, not {channels}: {remedy}")
        if sample_rate < 1:
            raise AudioError(f"a sample rate of {sample_rate} Hz is not supported: use 1 or more")
        highest = _HIGHEST_RATES.get(self.name, sample_rate)
        if sample_rate > highest:
            raise AudioError(f"{self.name} holds up to {highest} Hz, not {sample_rate}: use wav")


def check_options(bit_depth: int | None, bitrate: int | str | None) -> None:
    """Refuse a bit depth and bit rate that no format has, where the format is not known yet.

    Raises:
        ConfigError: no format has them.
    """
    if isinstance(bitrate, str):
        parse_bitrate(bitrate)
    for name in FORMATS:
        with suppress(ConfigError):
            OutputFormat.parse(name, bit_depth, bitrate)
            return
    wanted = {"bit depth": bit_depth, "bit rate": bitrate}
    listed = " and a ".join(f"{n} of {value}" for n, value in wanted.items() if value is not None)
    raise ConfigError(f"no format has a {listed}")


def parse_bitrate(text: str) -> int:
    """Return bits per second for text such as "320k", "192kbps" or "256000".

    Plain numbers below 1000 count thousands, as in everyday use.

    Raises:
        ConfigError: the text is not a bit rate.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(k?)(?:bps|bit/s|b/s)?\s*", text.lower())
    value = float(match[1]) if match else 0.0
    if match is None or value <= 0:
        raise ConfigError(f"unknown bit rate {text!r}; use for example 320k")
    return round(value * 1000) if match[2] or value < 1000 else round(value)


def format_like(info: AudioInfo, path: str | PathLike[str]) -> OutputFormat:
    """Return the format of a song, or the nearest that can be written.

    Lossy formats keep about their bit rate (at least 128 kbit/s; 320 for an MP3 whose bit rate is
    unknown), lossless ones their bit depth. Formats that cannot be written become m4a or flac.

    Args:
        info: the song's header.
        path: the song; an MP3 stream stays mp3 only in a file with that ending.
    """
    name = _similar_name(info, Path(path).suffix.lower())
    if name in _BIT_DEPTHS:
        depths = _BIT_DEPTHS[name]
        wanted = info.bit_depth or 16
        return OutputFormat(
            name=name, bit_depth=next((bits for bits in depths if bits >= wanted), depths[-1])
        )
    usual = _BITRATES[name]
    bitrate = max(_LOWEST_LIKE, info.bitrate or usual)
    if name == "mp3":
        # A VBR song's average is no MP3 bit rate: the next higher one loses nothing.
        bitrate = next((rate for rate in MP3_BITRATES if rate >= bitrate - 4000), MP3_BITRATES[-1])
    else:
        bitrate = min(bitrate, _BITRATE_RANGES[name][1])
    return OutputFormat(name=name, bitrate=bitrate)


def _similar_name(info: AudioInfo, suffix: str) -> FormatName:
    if info.codec in ("vorbis", "opus"):
        plain = info.container == "ogg"
        return "opus" if info.codec == "opus" and plain else "ogg" if plain else "m4a"
    if info.container in ("mp3", "wav", "flac") and (info.lossy == (info.container == "mp3")):
        return cast(FormatName, info.container)
    if info.container.startswith("aif") and not info.lossy and (info.bit_depth or 16) <= 24:
        return "aiff"
    if info.lossy:
        return "mp3" if info.codec == "mp3" and suffix == ".mp3" else "m4a"
    return "flac"


def _checked_depth(name: FormatName, bit_depth: int | None, bitrate: int | None) -> int:
    choices = _BIT_DEPTHS[name]
    if bitrate is not None:
        lossy = ", ".join(_BITRATES)
        raise ConfigError(f"{name} is lossless and has no bit rate; choose one of {lossy} for that")
    if bit_depth is None:
        return 16
    if bit_depth not in choices:
        listed = ", ".join(map(str, choices))
        hint = "; 32-bit float needs wav" if bit_depth == 32 else ""
        raise ConfigError(f"{name} has no bit depth of {bit_depth}; choose from {listed}{hint}")
    return bit_depth


def _checked_bitrate(name: FormatName, bit_depth: int | None, bitrate: int | None) -> int:
    if bit_depth is not None:
        lossless = ", ".join(_BIT_DEPTHS)
        raise ConfigError(f"{name} has no bit depth; choose a bit rate, or one of {lossless}")
    if bitrate is None:
        return _BITRATES[name]
    if name == "mp3":
        if bitrate not in MP3_BITRATES:
            listed = ", ".join(f"{rate // 1000}k" for rate in MP3_BITRATES)
            raise ConfigError(f"mp3 has no bit rate of {bitrate} bits/s; choose from {listed}")
        return bitrate
    low, high = _BITRATE_RANGES[name]
    if not low <= bitrate <= high:
        raise ConfigError(
            f"{name} has no bit rate of {bitrate} bits/s; "
            f"choose from {low // 1000}k to {high // 1000}k"
        )
    return bitrate
