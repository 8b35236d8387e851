"""Small whole files in every format that libsndfile and FFmpeg write, of one second of a song."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import soundfile
from av.audio.resampler import AudioResampler

from unmix._types import Samples
from unmix.audio import read_excerpt, resample

from ..benchmark.measuring import EXCERPT

_RATE = 44100
# libsndfile writes these in other formats' names, or needs a file beside them.
_NO_FILES = ("RAW", "SD2")
#: Formats of libsndfile without a length in their headers.
_NO_LENGTH = ("IRCAM", "PAF", "PVF", "MP3", "SDS", "XI", "VOC", "SVX")
#: FFmpeg: ending, format, codec, and whether its headers state the length of the sound.
_FFMPEG = (
    ("m4a", "ipod", "aac", True),
    ("mp4", "mp4", "aac", True),
    ("mp4", "mp4", "libmp3lame", True),
    ("mp4", "mp4", "libopus", True),
    ("mp4", "mp4", "ac3", True),
    ("mp4", "mp4", "flac", True),
    ("m4a", "ipod", "alac", True),
    ("mov", "mov", "pcm_s16le", True),
    ("mov", "mov", "pcm_s24be", True),
    ("mov", "mov", "alac", True),
    ("3gp", "3gp", "aac", True),
    ("mkv", "matroska", "aac", True),
    ("mkv", "matroska", "flac", True),
    ("mkv", "matroska", "libopus", True),
    ("mka", "matroska", "libmp3lame", True),
    ("mka", "matroska", "pcm_s16le", True),
    ("mka", "matroska", "wavpack", True),
    ("mka", "matroska", "ac3", True),
    ("webm", "webm", "libopus", True),
    ("webm", "webm", "libvorbis", True),
    ("avi", "avi", "libmp3lame", True),
    ("avi", "avi", "pcm_s16le", True),
    ("avi", "avi", "ac3", True),
    ("wma", "asf", "wmav2", True),
    ("wmv", "asf", "wmav1", True),
    ("flv", "flv", "aac", True),
    ("flv", "flv", "libmp3lame", True),
    ("ts", "mpegts", "aac", False),
    ("ts", "mpegts", "libmp3lame", False),
    ("ts", "mpegts", "ac3", False),
    ("mpg", "mpeg", "mp2", False),
    ("vob", "vob", "ac3", False),
    ("aac", "adts", "aac", False),
    ("ac3", "ac3", "ac3", False),
    ("eac3", "eac3", "eac3", False),
    ("mp2", "mp2", "mp2", False),
    ("mp3", "mp3", "libmp3lame", True),
    ("oga", "ogg", "libopus", True),
    ("ogg", "ogg", "libvorbis", True),
    ("oga", "ogg", "flac", True),
    ("flac", "flac", "flac", True),
    ("wv", "wv", "wavpack", True),
    ("tta", "tta", "tta", True),
    ("caf", "caf", "alac", True),
    ("wav", "wav", "adpcm_ms", True),
    ("wav", "wav", "libmp3lame", True),
    ("w64", "w64", "pcm_s16le", True),
    ("aif", "aiff", "pcm_s24be", True),
    ("au", "au", "pcm_s16be", True),
    ("voc", "voc", "pcm_u8", False),
    ("nut", "nut", "libmp3lame", False),
    ("wtv", "wtv", "mp2", True),
    ("rm", "rm", "ac3", False),  # of a whole file, the sizes go on behind its end
    ("amr", "amr", "libopencore_amrnb", False),
    ("swf", "swf", "libmp3lame", False),
)
#: Rates and channels of files that are whole, but odd.
_ODD = tuple((rate, 2) for rate in (1, 7, 100, 1000, 8000, 12345, 96000, 384000, 655350, 2**31 - 1))
_ODD += tuple((_RATE, channels) for channels in (1, 3, 6, 8, 9, 24, 64, 255, 256, 1024))
_ODD_FORMATS = ("WAV", "FLAC", "AIFF", "CAF", "AU", "W64", "RF64", "OGG")


@dataclass(frozen=True)
class Seed:
    """A whole file."""

    name: str
    data: bytes
    promises: bool = True
    """Whether the file states how long its sound is, or marks its end."""


def song(seconds: float = 1.0) -> Samples:
    """Return samples ``[C, N]`` of the song that ships with the project, at 44.1 kHz."""
    return read_excerpt(EXCERPT, 5 * _RATE, round(seconds * _RATE))


def seeds() -> Iterator[Seed]:
    """Yield whole files in every format and coding, then those of odd rates and channels."""
    samples = song()
    yield from _by_libsndfile(samples)
    yield from _by_ffmpeg(samples)
    yield from _tagged(samples)


def odd_seeds() -> Iterator[Seed]:
    """Yield short whole files of odd rates and numbers of channels, and of hardly any samples."""
    random = np.random.default_rng(0)
    for major in _ODD_FORMATS:
        subtype = "VORBIS" if major == "OGG" else "PCM_16"
        for length in (0, 1, 2, 1000):
            for rate, channels in _ODD:
                if length > 100 * rate:
                    continue  # many minutes, once they are resampled
                if major == "OGG" and (rate > 96000 or channels > 8):
                    continue  # libsndfile's encoder ends the process
                samples = random.uniform(-0.5, 0.5, (channels, length)).astype(np.float32)
                data = written(samples, rate, major, subtype)
                if data is not None:
                    name = f"odd-{length}-{rate}-{channels}.{major.lower()}"
                    yield Seed(name, data)


def _by_libsndfile(samples: Samples) -> Iterator[Seed]:
    mono = samples[:1]
    low = resample(mono, _RATE, 8000)
    for major in soundfile.available_formats():
        if major in _NO_FILES:
            continue
        for subtype in soundfile.available_subtypes(major):
            for held, rate in ((samples, _RATE), (mono, _RATE), (low, 8000)):
                data = written(held, rate, major, subtype)
                if data is not None:
                    name = f"sf-{subtype.lower()}.{major.lower()}"
                    yield Seed(name, data, promises=major not in _NO_LENGTH)
                    break


def written(samples: Samples, rate: int, major: str, subtype: str) -> bytes | None:
    """Return a file by libsndfile, None if the format cannot hold the samples."""
    file = io.BytesIO()
    try:
        soundfile.write(file, samples.T, rate, subtype, format=major)
    except (soundfile.LibsndfileError, ValueError, TypeError, AssertionError, RuntimeError):
        return None
    return file.getvalue()


def _by_ffmpeg(samples: Samples) -> Iterator[Seed]:
    for number, (ending, container, codec, promises) in enumerate(_FFMPEG):
        for rate, layout in ((_RATE, "stereo"), (48000, "stereo"), (8000, "mono")):
            try:
                data = encoded(samples, container, codec, rate, layout)
            except (av.FFmpegError, ValueError):
                continue
            yield Seed(f"ff{number}-{codec}.{ending}", data, promises)
            break


def encoded(
    samples: Samples, container: str, codec: str, rate: int = _RATE, layout: str = "stereo"
) -> bytes:
    """Return a file by FFmpeg of samples ``[C, N]`` at 44.1 kHz.

    Raises:
        av.FFmpegError, ValueError: the format cannot hold them, or FFmpeg lacks the codec.
    """
    packed = io.BytesIO()
    with av.open(packed, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout=layout)
        context = stream.codec_context
        context.open()
        convert = AudioResampler(context.format, layout, rate, context.frame_size or 1024)
        clock = Fraction(1, rate)
        source = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "stereo")
        source.sample_rate, source.pts, source.time_base = _RATE, 0, Fraction(1, _RATE)
        position = 0
        for frame in (*convert.resample(source), *convert.resample(None), None):
            if frame is not None:
                frame.pts, frame.time_base = position, clock
                position += frame.samples
            file.mux(stream.encode(frame))
    return packed.getvalue()


def _tagged(samples: Samples) -> Iterator[Seed]:
    """Yield files with tags and covers, whole and enormous."""
    wav = written(samples, _RATE, "WAV", "PCM_16") or b""
    flac = written(samples, _RATE, "FLAC", "PCM_16") or b""
    mp3 = encoded(samples, "mp3", "libmp3lame")
    for size in (0, 3000, 1 << 18):
        tag = _id3(size)
        for ending, data in (("wav", wav), ("flac", flac), ("mp3", mp3)):
            yield Seed(f"id3-{size}.{ending}", tag + data)


def _id3(cover: int) -> bytes:
    """Return an ID3 tag with a title, an artist, lyrics and a cover of so many bytes."""
    frames = [
        (b"TIT2", b"\0Title / more"),
        (b"TPE1", b"\0../Artist"),
        (b"USLT", b"\0eng\0[00:00.50]la\n[00:01.00]la la"),
    ]
    if cover:
        frames.append((b"APIC", b"\0image/png\0\3\0" + bytes(cover)))
    body = b"".join(name + struct.pack(">IH", len(data), 0) + data for name, data in frames)
    sizes = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + sizes + body
