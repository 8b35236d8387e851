"""The decoder of FFmpeg (PyAV): MP3, videos' sound, and whatever libsndfile cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from .._types import Samples
from ..errors import AudioError
from .clock import Clock, Tick
from .container import open_sound
from .decoders import PIECE
from .headers import Header
from .id3 import Behind
from .streams import EXACT, choose_stream, describe

#: Full scale of FFmpeg's integer sample types.
_FULL_SCALE = {"u8": 1 << 7, "s16": 1 << 15, "s32": 1 << 31}
#: Containers that say of each packet when it is due; others only of blocks of them.
_EVEN = ("mp4", "webm", "mpegts", "mpeg", "ogg", "flac", "nut", "flv", "mxf")
#: With more planes, PyAV miscounts them and reads past the end: pack them first.
_SAFE_PLANES = 7
_EDIT_ROUNDING = 0.002  # seconds; an MP4 edit list may be off, as it counts milliseconds
_PREROLL = 1.0  # seconds to decode and drop before an excerpt, so that codecs settle
_OGG_PREROLL = 10.0  # longer than most Ogg pages: see ``_seek``


class FFmpegDecoder:
    """One audio stream of a file, frame by frame, as float samples at its own rate."""

    def __init__(self, path: Path, header: Header, stream: int | None = None) -> None:
        """Open the file and decode its first frame, the only reliable source of rate and channels.

        Args:
            path: the file.
            header: what ``read_header`` found.
            stream: index of the audio stream, from 0; default: the best one, as FFmpeg sees it.

        Raises:
            AudioError: the file contains no audio, or no such stream.
        """
        self._path = path
        self._header = header
        self._file = cast(BinaryIO, Behind(path.open("rb"), header.start))
        try:
            try:
                self._container = open_sound(self._file, mpeg=header.kind == "mpeg")
            except (av.FFmpegError, OSError, ValueError) as error:
                raise AudioError(
                    f"{path} cannot be read as audio: it is damaged or not an audio file"
                ) from error
            self._stream = choose_stream(path, self._container, stream)
            if self._stream.codec_context is None:
                raise AudioError(f"{path} uses an unsupported audio codec: convert it first")
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        """Decode the first frame and note its properties."""
        self.damage: list[str] = []
        self.notes: list[str] = []
        self._bad = 0  # packets in a row that did not decode
        self._position = 0
        self._frames = self._decode()
        self._first = next(self._frames, None)
        first = self._first.frame if self._first else None
        stream = self._stream
        self._origin = first.pts if first else None
        self._rate = (first.sample_rate if first else stream.rate) or 0
        self._channels = first.layout.nb_channels if first else stream.channels
        if not self._rate or not self._channels:
            raise AudioError(f"{self._path} has an audio stream that cannot be decoded")
        self._packer: AudioResampler | None = None
        self._clock = (stream.time_base or Fraction(1, self._rate)) * self._rate
        self.info = describe(self._container, stream, self._rate, self._channels, self._header)
        self._exact = self.info.container == "flac"  # whose frames have positions
        # Some MP3 headers count one frame too many; other clocks are rounded.
        frame = 1152 if self.info.container == "mp3" else self._rate // 10
        self.tolerance = 0 if self._exact else frame

    def pieces(self) -> Iterator[Samples]:
        """Yield samples ``[C, n]``; what is missing becomes silence of the same length."""
        held: Tick | None = None
        end = None if self.info.length is None else self.info.length + self._rate // 10
        coarse = self.info.container not in _EVEN
        floor = 0.02 if self.info.container == "ogg" else 0.01
        clock = Clock(self._rate, exact=self._exact, coarse=coarse, floor=floor)
        for tick in clock.gaps(self._ticks(), self._position, end):
            if held is not None:
                yield self._given(self._samples(held.frame))
            self._say(tick)
            for start in range(0, tick.gap, PIECE):
                size = min(PIECE, tick.gap - start)
                yield self._given(np.zeros((self._channels, size), np.float32))
            held = tick
        if held is not None:
            yield self._given(self._trimmed_end(held.frame, held.duration))
        if self._bad and self._header.kind != "mpeg":
            self.damage.append("its end did not decode")

    def _say(self, tick: Tick) -> None:
        """Note what is missing before a frame."""
        at = f"at {self._position / self._rate:.1f} s"
        if tick.gap:
            what = "did not decode" if tick.bad else "are missing"
            # A stream or a video may have been recorded with a hole: all that is in it is there.
            holes = self._header.kind not in ("flac", "ogg") and not tick.bad
            heard = self.notes if holes else self.damage
            heard.append(f"{tick.gap / self._rate:.2f} s {at} {what} and became silence")
        elif tick.bad:
            self.damage.append("a part that did not decode was left out")
        elif tick.jump and self._header.kind != "ogg":  # whose links have clocks of their own
            self.notes.append(f"its clock jumps by {tick.jump / self._rate:.1f} s {at}")

    def excerpt(self, start: int, length: int) -> Samples:
        """Return samples ``[C, length]`` from ``start``; fewer if the file ends before."""
        self._seek(start)
        if self._position > start:
            self._container.seek(0)
            self._stream.codec_context.flush_buffers()
            self._start()
        parts = [np.zeros((self._channels, 0), np.float32)]
        wanted = length
        for piece in self.pieces():
            begin = max(0, start - (self._position - piece.shape[1]))
            parts.append(piece[:, begin : begin + wanted])
            wanted -= parts[-1].shape[1]
            if wanted <= 0:
                break
        return np.concatenate(parts, axis=1)

    def close(self) -> None:
        """Close the file."""
        if hasattr(self, "_container"):
            self._container.close()
        self._file.close()

    def _seek(self, start: int) -> None:
        """Seek to a frame a little before a sample, if the stream's clock counts samples.

        Otherwise stay: decoding from the beginning is always right.
        """
        preroll = _OGG_PREROLL if self.info.container == "ogg" else _PREROLL
        target = start - round(preroll * self._rate)
        drifts = self._clock > 1 or self.info.container not in EXACT
        if target <= 0 or drifts or self._origin is None or self._header.kind == "mpeg":
            return
        self._container.seek(int(target / self._clock) + self._origin, stream=self._stream)
        self._stream.codec_context.flush_buffers()
        self._frames = self._decode()
        # After seeking in Vorbis, FFmpeg's clock is off by half a window in the first page and
        # wherever windows change their length, but right on average: use the median.
        counted, offsets = 0, list[int]()
        for tick in self._frames:
            offset = self._at(tick.frame) - counted
            if offsets and abs(offset - offsets[-1]) > self._rate // 50:  # a hole
                counted, offsets, offset = 0, [], offset + counted
            self._first = tick
            offsets.append(offset)
            self._position = counted + sorted(offsets)[len(offsets) // 2]
            if self._position + self._rate // 10 >= start:
                return
            counted += tick.samples

    def _ticks(self) -> Iterator[Tick]:
        """Yield all frames from the first on, with their positions."""
        for tick in chain([self._first] if self._first is not None else [], self._frames):
            if tick.frame.pts is not None and self._origin is not None:
                tick.due = self._at(tick.frame)
            yield tick

    def _decode(self) -> Iterator[Tick]:
        """Yield each frame, and whether damage precedes it."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):  # a broken disk, or a place before the file
                self._bad += 1
                return
            try:
                frames = self._stream.codec_context.decode(packet if packet.size else None)
            except av.EOFError:
                return
            except av.FFmpegError:
                self._bad += 1
                continue
            for frame in frames:
                bad, self._bad = bool(self._bad), 0
                own = packet.pts is not None and frame.pts == packet.pts
                duration = (packet.duration or 0) if own else 0
                yield Tick(frame, frame.samples, None, duration, bad)

    def _samples(self, frame: AudioFrame) -> Samples:
        """Convert a frame of any sample type to float ``[C, n]``, full scale 1."""
        channels = frame.layout.nb_channels
        if frame.sample_rate != self._rate or channels != self._channels:
            raise AudioError(
                f"{self._path} changes from {self._channels} channels at {self._rate} Hz to "
                f"{channels} channels at {frame.sample_rate} Hz: split it there first"
            )
        if frame.format.is_planar and channels > _SAFE_PLANES:
            frame = self._packed(frame)
        try:
            array: NDArray[Any] = frame.to_ndarray()
        except ValueError as error:
            raise AudioError(
                f"{self._path} has samples of an unsupported type, {frame.format.name}"
            ) from error
        if not frame.format.is_planar:
            array = array.reshape(-1, channels).T
        kind = frame.format.name.removesuffix("p")
        scale = _FULL_SCALE.get(kind)
        if scale is None:
            return np.ascontiguousarray(array, dtype=np.float32)
        offset = 128.0 if kind == "u8" else 0.0
        return np.ascontiguousarray((array - offset) / scale, dtype=np.float32)

    def _packed(self, frame: AudioFrame) -> AudioFrame:
        if self._packer is None:
            self._packer = AudioResampler(frame.format.packed, frame.layout, frame.sample_rate)
        return self._packer.resample(frame)[0]

    def _given(self, piece: Samples) -> Samples:
        self._position += piece.shape[1]
        return piece

    def _at(self, frame: AudioFrame) -> int:
        """Return the position of a frame in samples from the start of the first one."""
        if frame.pts is None or self._origin is None:
            return self._position
        return round((frame.pts - self._origin) * self._clock)

    def _trimmed_end(self, frame: AudioFrame, duration: int) -> Samples:
        """Cut the padding off the last frame, if FFmpeg leaves that to the player.

        In an MP4, the duration of the last packet is exact; an edit list may end even earlier. The
        sample count of an MP3 is exact unless it is wrong by whole frames.
        """
        samples = self._samples(frame)
        length = samples.shape[1]
        if self.info.container == "mp3" and self.info.length and self._header.exact_length:
            extra = self._position + length - self.info.length
            return samples[:, : length - extra] if 0 < extra < length else samples
        if self.info.container != "mp4" or self._clock > 1:
            return samples
        if duration:
            length = min(length, round(duration * self._clock))
        stream = self._stream
        if stream.duration and not stream.start_time:
            extra = self._position + length - round(stream.duration * self._clock)
            if extra > _EDIT_ROUNDING * self._rate:
                length = max(0, length - extra)
        return np.ascontiguousarray(samples[:, :length])
