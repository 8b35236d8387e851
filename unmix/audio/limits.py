"""How long, and of which rates, a file may be: a few bytes can stand for years of silence."""

from __future__ import annotations

import re

from ..errors import AudioError, ConfigError
from .info import AudioInfo

#: Hz. Lower rates are no sound, and a block of them would be gigabytes at the rate of a model.
RATES = (100, 1_000_000)
#: Nobody hears more; a damaged header may name thousands.
CHANNELS = 64
_UNITS = {"h": 3600, "m": 60, "s": 1}
_TIME = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
_PARTS = re.compile(r"(?:\d+(?:\.\d+)?[hms])+")


def parse_duration(text: str) -> float:
    """Return a length of time in seconds.

    Args:
        text: seconds, such as "90"; with units, "2h", "90m" or "1h30m"; or "1:30:00".

    Raises:
        ConfigError: it is none of these, or not above 0.
    """
    word = text.strip().lower()
    if time := _TIME.fullmatch(word):
        hours, minutes, rest = time.groups()
        seconds = int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)
    elif _PARTS.fullmatch(word):
        seconds = sum(float(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"[^hms]+.", word))
    elif re.fullmatch(r"\d+(\.\d*)?", word):
        seconds = float(word)
    else:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{text!r} is not a length of time: write 600, 90m, 2h or 1:30:00")
    return seconds


def check_limits(name: str, info: AudioInfo, max_duration: float | None) -> None:
    """Refuse what a file's header says, before anything is decoded.

    Raises:
        AudioError: the sample rate or the channels are none of sound, or it promises to be too
            long.
        ConfigError: the limit is not above 0.
    """
    if max_duration is not None and not max_duration > 0:
        raise ConfigError(f"max_duration must be above 0 seconds, got {max_duration}")
    if not RATES[0] <= info.sample_rate <= RATES[1]:
        raise AudioError(
            f"{name} has a sample rate of {info.sample_rate} Hz, not between {RATES[0]} and "
            f"{RATES[1]} Hz: its header is damaged, or it is no sound"
        )
    if info.channels > CHANNELS:
        raise AudioError(
            f"{name} has {info.channels} channels, more than {CHANNELS}: split it, or mix it down"
        )
    if info.length is not None and not info.length_is_estimate:
        check_length(name, info.length / info.sample_rate, max_duration)


def check_length(name: str, seconds: float, max_duration: float | None) -> None:
    """Refuse a file as soon as it is too long.

    Raises:
        AudioError: it is.
    """
    if max_duration is not None and seconds > max_duration:
        raise AudioError(
            f"{name} is longer than {max_duration:g} s, the limit that was set (--max-duration): "
            "allow more, or cut the song"
        )
