"""A video's picture with another sound: the picture's packets are copied, never coded again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from heapq import merge
from operator import itemgetter
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from ..errors import AudioError

#: By the end of a video's name: the audio format that its container takes, and plays exactly.
#: Matroska cannot say where to cut AAC's first samples off; Opus says so itself.
SOUND_FORMATS = {".mp4": "m4a", ".m4v": "m4a", ".mov": "m4a", ".mkv": "opus", ".webm": "opus"}

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
# Beginnings of names that tell of the sound's loudness, of its coding, or of the file itself.
_STALE = (
    *("replaygain", "r128_", "itunnorm", "itunsmpb"),
    *("encoder", "duration", "major_brand", "minor_version", "compatible_brands"),
)


def has_picture(path: Path) -> bool:
    """Return whether a file holds a moving picture; cover art is none."""
    try:
        with path.open("rb") as file, av.open(file, "r", metadata_errors="replace") as container:
            return bool(_pictures(container))
    except (av.FFmpegError, OSError, ValueError):
        return False


def replace_sound(video: Path, sound: Path, destination: Path, *, title: str) -> None:
    """Write a video again with another sound.

    Picture, subtitles and their fonts keep their coding and their times; the sound starts where the
    video's own started. Other audio streams stay behind.

    Args:
        video: what has the picture; its name's end is one of ``SOUND_FORMATS``. Not changed.
        sound: an audio file of the format that goes with it.
        destination: the new file.
        title: what the new file calls itself.

    Raises:
        AudioError: the picture cannot be copied.
        OSError: the file cannot be written.
    """
    container = _CONTAINERS[video.suffix.lower()]
    # The clock of a movie's edit list, in which the sound's first and last samples are told.
    options = {"movie_timescale": "48000"} if container in ("mp4", "mov") else {}
    try:
        with (
            video.open("rb") as seen_file,
            sound.open("rb") as heard_file,
            destination.open("w+b") as made_file,
            av.open(seen_file, "r", metadata_errors="replace") as seen,
            av.open(heard_file, "r", metadata_errors="replace") as heard,
            av.open(made_file, "w", format=container, container_options=options) as made,
        ):
            made.metadata.update({**_lasting(seen.metadata), "title": title})
            _copy(seen, heard, made)
    except (av.FFmpegError, ValueError) as error:
        # FFmpeg's sentences name a file, and it is the hidden one.
        reason = error.strerror if isinstance(error, av.FFmpegError) else error
        raise AudioError(
            f"{video}: its picture cannot be copied ({reason}); --format m4a writes the sound alone"
        ) from error


def _copy(seen: InputContainer, heard: InputContainer, made: OutputContainer) -> None:
    """Copy the packets of both inputs, in the order of their times."""
    kept = [*_pictures(seen), *seen.streams.subtitles]
    copies: dict[Stream, Stream] = {stream: _twin(made, stream) for stream in kept}
    for attachment in seen.streams.attachments:
        _twin(made, attachment)
    own, new = seen.streams.best("audio"), heard.streams.audio[0]
    copies[new] = _twin(made, new)
    if own is not None:
        copies[new].metadata.update(_lasting(own.metadata))
    delay = round(_start(own) / _tick(new))
    both = merge(_packets(seen, kept), _packets(heard, [new], delay), key=itemgetter(0))
    for _, packet in both:
        packet.stream = copies[packet.stream]
        made.mux(packet)


def _twin(made: OutputContainer, stream: Stream) -> Stream:
    """Add a stream of the same coding."""
    twin = made.add_stream_from_template(stream)
    twin.metadata.update(_lasting(stream.metadata))
    return twin


def _tick(stream: Stream | Packet[Stream]) -> Fraction:
    """Return the seconds that one step of a stream's clock takes."""
    return stream.time_base or Fraction(1, av.time_base)


def _start(stream: Stream | None) -> Fraction:
    """Return when a stream starts, in seconds."""
    if stream is None or stream.start_time is None:
        return Fraction(0)
    return stream.start_time * _tick(stream)


def _packets(
    container: InputContainer, streams: Iterable[Stream], delay: int = 0
) -> Iterator[tuple[Fraction, Packet[Stream]]]:
    """Yield packets, and the seconds at which they are due, rising about as they should.

    Matroska has no decoding times: what FFmpeg cannot guess, the writer is left to find.
    """
    due = Fraction(0)
    for packet in container.demux(list(streams)):
        if packet.dts is None and packet.pts is None:  # the end of a stream
            continue
        if packet.pts is not None:
            packet.pts += delay
        if packet.dts is not None:
            packet.dts += delay
            due = packet.dts * _tick(packet)
        yield due, packet


def _pictures(container: InputContainer) -> list[Stream]:
    """Return the first moving picture, if there is one."""
    moving = [
        stream
        for stream in container.streams.video
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    return list(moving[:1])


def _lasting(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return what is still true of a copy with another sound."""
    return {name: text for name, text in metadata.items() if not name.lower().startswith(_STALE)}
