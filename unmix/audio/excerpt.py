"""Reading of excerpts: without decoding all that lies before, where that gives the same samples."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from .._types import Samples
from .decoders import DecodeStopped
from .ffmpeg import FFmpegDecoder
from .headers import Header
from .info import AudioInfo
from .opening import look, open_decoder
from .reader import AudioReader


@np.errstate(all="ignore")
def read_excerpt(
    path: str | PathLike[str], start: int, length: int, *, stream: int | None = None
) -> Samples:
    """Return the samples ``[C, length]`` from ``start`` on; fewer if the file ends before.

    It seeks, so that it takes about as long anywhere in wav, flac, ogg and m4a files; an mp3 is
    decoded from its beginning. NaN and infinity become 0.

    Args:
        path: the file.
        start: first sample, at least 0.
        length: samples per channel, at least 0.
        stream: index of the audio stream, from 0; default: the best one.

    Raises:
        AudioError: there is no such file, or it contains no audio.
        ValueError: ``start`` or ``length`` is negative.
    """
    if start < 0 or length < 0:
        raise ValueError(f"expected start and length of at least 0, got {start} and {length}")
    file = Path(path)
    header = look(file)
    decoder = open_decoder(file, header, stream)
    try:
        samples = decoder.excerpt(start, length)
    except DecodeStopped:
        samples = _other_excerpt(file, header, decoder.info, start, length)
    finally:
        decoder.close()
    return np.nan_to_num(samples, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _other_excerpt(path: Path, header: Header, info: AudioInfo, start: int, length: int) -> Samples:
    """Return an excerpt by FFmpeg, at the rate and within the length of libsndfile."""
    decoder = FFmpegDecoder(path, header)
    try:
        if decoder.info.sample_rate != info.sample_rate:
            with AudioReader(path) as reader:  # Opus at another rate: decode up to it
                return _walked_excerpt(reader, start, length)
        end = start + length if info.length is None else min(start + length, info.length)
        return decoder.excerpt(start, max(0, end - start))
    finally:
        decoder.close()


def _walked_excerpt(reader: AudioReader, start: int, length: int) -> Samples:
    parts = [np.zeros((reader.channels, 0), np.float32)]
    for block in reader.blocks():
        begin = reader.samples_read - block.shape[1]
        parts.append(block[:, max(0, start - begin) : max(0, start + length - begin)])
        if reader.samples_read >= start + length:
            break
    return np.concatenate(parts, axis=1)
