"""The decoder for a file: found by its first bytes, before anything is decoded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import AudioError
from .decoders import DecodeStopped, SoundFileDecoder
from .ffmpeg import FFmpegDecoder
from .headers import Header, read_header
from .info import AudioInfo


def look(path: Path) -> Header:
    """Read a file's header, and turn errors into one sentence."""
    try:
        if path.is_dir():
            raise AudioError(f"{path} is a folder: give a file in it")
        if path.stat().st_size == 0:
            raise AudioError(f"{path} is empty: download or copy it again")
        return read_header(path)
    except ValueError as error:
        raise AudioError(f"{path} is damaged: {error}; get it again") from error
    except FileNotFoundError as error:
        raise AudioError(f"{path} does not exist: check the name") from error
    except PermissionError as error:
        raise AudioError(f"{path} is not readable: change its permissions") from error
    except OSError as error:
        raise AudioError(f"{path} cannot be opened: {error.strerror or error}") from error


def open_decoder(
    path: Path, header: Header, stream: int | None
) -> SoundFileDecoder | FFmpegDecoder:
    """Open a file with libsndfile if it reads such files well, else with FFmpeg.

    Raises:
        AudioError: neither of them finds sound in it.
    """
    if header.soundfile and not stream:
        try:
            return SoundFileDecoder(path, header)
        except DecodeStopped:
            pass
    return FFmpegDecoder(path, header, stream)


def with_promise(info: AudioInfo, header: Header) -> AudioInfo:
    """Return what a decoder found, with the length that only the header has."""
    known = -1 if info.length is None else info.length
    if header.promised is None or header.promised <= known:
        return info
    return replace(info, length=header.promised, length_is_estimate=False)
