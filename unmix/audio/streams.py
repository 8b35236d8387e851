"""The audio streams of a container: which one is read, and what it promises."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer

from ..errors import AudioError
from .headers import Header
from .info import AudioInfo

_LOSSLESS = ("pcm_", "flac", "alac", "wavpack", "tta", "ape", "truehd", "mlp", "shorten", "tak")
_CONTAINERS = {"mov": "mp4", "matroska": "webm"}
#: Formats whose headers count samples; FFmpeg estimates the lengths of others from bit rates.
EXACT = ("mov", "mp4", "mp3", "flac", "ogg", "wav", "w64", "aiff", "caf", "ape", "wv", "tta")


def choose_stream(path: Path, container: InputContainer, stream: int | None) -> AudioStream:
    """Return an audio stream of a container: the one asked for, or the best.

    Raises:
        AudioError: there is no audio, or no such stream.
    """
    streams = container.streams.audio
    if not streams:
        raise AudioError(f"{path} has no audio stream")
    if stream is None:
        best = container.streams.best("audio")
        return best if isinstance(best, AudioStream) else streams[0]
    if not 0 <= stream < len(streams):
        several = "audio stream" if len(streams) == 1 else "audio streams"
        raise AudioError(
            f"{path} has {len(streams)} {several}, numbered from 0: there is no {stream}"
        )
    return streams[stream]


def describe(
    container: InputContainer, stream: AudioStream, rate: int, channels: int, header: Header
) -> AudioInfo:
    """Return what a container promises of one of its streams.

    Args:
        container: the container.
        stream: one of its streams.
        rate: Hz, of the stream's first frame.
        channels: audio channels of the stream's first frame.
        header: what ``read_header`` found.
    """
    codec = stream.codec_context.name
    codec = "mp3" if codec.startswith("mp3") else codec.removesuffix("float")
    lossless = codec.startswith(_LOSSLESS)
    name = container.format.name.split(",")[0]
    # Tags in front of other formats than MP3 say nothing about the length.
    guess = not header.exact_length and (header.kind != "mpeg" or name == "mp3")
    length, estimate = None, name not in EXACT or guess
    if stream.duration:
        length = round(stream.duration * (stream.time_base or Fraction(1, rate)) * rate)
        estimate = estimate and not (name == "avi" and _is_counted(stream, length))
    elif container.duration:
        length, estimate = round(container.duration * rate / 1_000_000), True
    # PyAV has no format for a stream of which it has decoded nothing.
    bits = stream.format.bits if lossless and getattr(stream, "format", None) else None
    if (bits == 32 and not codec.startswith("pcm_")) or codec.startswith("pcm_s24"):
        bits = 24  # FFmpeg returns 24 bits in the upper part of 32
    return AudioInfo(
        sample_rate=rate,
        channels=channels,
        length=length,
        container=_CONTAINERS.get(name, name),
        codec=codec,
        bit_depth=bits,
        lossy=not lossless,
        bitrate=stream.bit_rate or container.bit_rate or None,
        length_is_estimate=estimate,
        stream=container.streams.audio.index(stream),
        streams=len(container.streams.audio),
        chapters=len(container.chapters()),
    )


def _is_counted(stream: AudioStream, length: int) -> bool:
    """Return whether the header of an AVI counts packets of one size, the missing ones too.

    If it counts bytes or packets of several sizes, FFmpeg guesses lengths and times from them.
    """
    size = stream.codec_context.frame_size
    return size > 0 and abs(stream.frames * size - length) <= size
