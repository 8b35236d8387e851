"""The decoder for a file: found by its first bytes, before anything is decoded."""

from __future__ import annotations

from pathlib import Path

from ..errors import AudioError
from .decoders import DecodeStopped, SoundFileDecoder
from .ffmpeg import FFmpegDecoder
from .headers import Header, read_header


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
