"""Opening of files with FFmpeg: the only place, so that what a file says opens nothing else.

FFmpeg recognizes a file by its content. Some kinds of files tell it to open others, or the
network: playlists, scripts, session descriptions. So the demuxers are a list of allowed ones, and
no protocol is: a demuxer that a later FFmpeg adds is refused until somebody has looked at it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import BinaryIO

import av
from av.container import InputContainer

#: FFmpeg's names of the demuxers that may read a file, by what they are. Each reads samples or
#: packets from the one file it is given.
DEMUXERS = {
    "music": (
        *("aac", "ac3", "aiff", "ape", "asf", "au", "caf", "dsf", "dts", "dtshd", "eac3", "flac"),
        *("iff", "loas", "mlp", "mp3", "mpc", "mpc8", "ogg", "oma", "shn", "tak", "truehd", "tta"),
        *("w64", "wav", "wv", "xwma"),
    ),
    "speech and measurement": (
        *("amr", "amrnb", "amrwb", "avr", "gsm", "ircam", "nistsphere", "pvf", "qcp", "sox", "voc"),
    ),
    # In these, an address in the file ("data reference") is followed only where FFmpeg's option
    # enable_drefs is set.
    "video": (
        *("avi", "dv", "flv", "gxf", "matroska", "mov", "mpeg", "mpegts", "mxf", "nut", "rm"),
        *("webm", "wtv"),
    ),
}
_OPTIONS = {
    "format_whitelist": ",".join(name for names in DEMUXERS.values() for name in names),
    "protocol_whitelist": "none",  # a name that no protocol has
}


def open_container(file: BinaryIO, *, demuxer: str | None = None) -> InputContainer:
    """Open a file that is open for reading; its name is never looked at.

    Args:
        file: the file; the caller closes it after the container.
        demuxer: FFmpeg's name of the file's format; default: as FFmpeg recognizes the content.

    Raises:
        av.FFmpegError: the content is damaged, or of no kind that is allowed.
        ValueError: the content is damaged.
    """
    return av.open(
        file, mode="r", format=demuxer, metadata_errors="replace", container_options=_OPTIONS
    )


def open_sound(file: BinaryIO, *, mpeg: bool) -> InputContainer:
    """Open a file for its sound.

    Args:
        file: the file; the caller closes it after the container.
        mpeg: whether it begins as an MP3 does: one of a few frames is too short for FFmpeg to
            recognize, and is opened as what it says it is.

    Raises:
        av.FFmpegError: the content is damaged, or of no kind that is allowed.
        ValueError: the content is damaged.
    """
    if not mpeg:
        return open_container(file)
    with suppress(av.FFmpegError, ValueError):
        container = open_container(file)
        if container.streams.audio:
            return container
        container.close()
    file.seek(0)
    return open_container(file, demuxer="mp3")
