"""A video's picture with another sound; the picture is copied, not encoded again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from fractions import Fraction
from heapq import merge
from operator import itemgetter
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from ..errors import AudioError
from .checked_file import CheckedFile
from .container import open_container

#: By the ending of a video's name: the audio format that its container plays exactly. Matroska
#: cannot say how many of AAC's first samples to drop; Opus does so itself.
SOUND_FORMATS = {".mp4": "m4a", ".m4v": "m4a", ".mov": "m4a", ".mkv": "opus", ".webm": "opus"}

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
# Beginnings of the names of metadata about the loudness, the coding, or the file itself.
_STALE = (
    *("replaygain", "r128_", "itunnorm", "itunsmpb"),
    *("encoder", "duration", "major_brand", "minor_version", "compatible_brands"),
)


def has_picture(path: Path) -> bool:
    """Return whether a file has a moving picture; cover art does not count."""
    try:
        with path.open("rb") as file, open_container(file) as container:
            return bool(_pictures(container))
    except (av.FFmpegError, OSError, ValueError):
        return False


def replace_sound(
    video: Path, sound: Path, destination: Path, *, title: str, stream: int = 0
) -> None:
    """Write a copy of a video with another sound.

    Picture, subtitles and their fonts keep their coding and times; the sound starts where the
    video's own starts. Other audio streams are left out.

    Args:
        video: the file with the picture; its name's ending is one of ``SOUND_FORMATS``.
        sound: an audio file of the corresponding format.
        destination: the new file.
        title: the title of the new file.
        stream: index of the video's audio stream that the sound replaces, from 0.

    Raises:
        AudioError: the picture cannot be copied.
        OSError: the file cannot be written.
    """
    container = _CONTAINERS[video.suffix.lower()]
    # The clock of a movie's edit list, which has the sound's first and last samples.
    options = {"movie_timescale": "48000"} if container in ("mp4", "mov") else {}
    try:
        with (
            video.open("rb") as video_file,
            sound.open("rb") as sound_file,
            closing(CheckedFile(destination)) as output_file,
            open_container(video_file) as video_in,
            open_container(sound_file) as sound_in,
            av.open(output_file, "w", format=container, container_options=options) as output,
        ):
            output.metadata.update({**_lasting(video_in.metadata), "title": title})
            packets = _copy(video_in, sound_in, output, stream)
        output_file.check()
        _check_packets(destination, packets)
    except (av.FFmpegError, ValueError) as error:
        # FFmpeg's sentences name the hidden file.
        reason = error.strerror if isinstance(error, av.FFmpegError) else error
        raise AudioError(
            f"{video}: its picture cannot be copied ({reason}); --format m4a writes the sound alone"
        ) from error


def _copy(
    video: InputContainer, sound: InputContainer, output: OutputContainer, stream: int
) -> int:
    """Copy the packets of both inputs in the order of their times; return how many there are."""
    kept = [*_pictures(video), *video.streams.subtitles]
    copies: dict[Stream, Stream] = {stream: _add_like(output, stream) for stream in kept}
    for attachment in video.streams.attachments:
        _add_like(output, attachment)
    output.set_chapters(video.chapters())
    sounds, new = video.streams.audio, sound.streams.audio[0]
    own = sounds[stream] if stream < len(sounds) else None
    copies[new] = _add_like(output, new)
    if own is not None:
        copies[new].metadata.update(_lasting(own.metadata))
    delay = round(_start(own) / _tick(new))
    both = merge(_packets(video, kept), _packets(sound, [new], delay), key=itemgetter(0))
    count = 0
    for _, packet in both:
        packet.stream = copies[packet.stream]
        output.mux(packet)
        count += packet.size > 0
    return count


def _check_packets(path: Path, count: int) -> None:
    """Read the file back, and compare the count of its packets with what was written."""
    with path.open("rb") as file, open_container(file) as container:
        found = sum(packet.size > 0 for packet in container.demux())
    if found < count:
        raise ValueError(f"{found} of {count} packets were written")


def _add_like(output: OutputContainer, stream: Stream) -> Stream:
    """Add a stream of the same coding."""
    copy = output.add_stream_from_template(stream)
    copy.metadata.update(_lasting(stream.metadata))
    return copy


def _tick(stream: Stream | Packet[Stream]) -> Fraction:
    """Return the seconds of one step of a stream's clock."""
    return stream.time_base or Fraction(1, av.time_base)


def _start(stream: Stream | None) -> Fraction:
    """Return when a stream starts, in seconds."""
    if stream is None or stream.start_time is None:
        return Fraction(0)
    return stream.start_time * _tick(stream)


def _packets(
    container: InputContainer, streams: Iterable[Stream], delay: int = 0
) -> Iterator[tuple[Fraction, Packet[Stream]]]:
    """Yield packets and the times in seconds at which they are due, roughly in order.

    Matroska has no decoding times: where FFmpeg cannot guess them, the writer determines them.
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
    """Return the metadata that is still true of a copy with another sound."""
    return {name: text for name, text in metadata.items() if not name.lower().startswith(_STALE)}
