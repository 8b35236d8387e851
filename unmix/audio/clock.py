"""The sound's clock: where packets are missing, the time that they took is kept.

A container says when each packet is due. If one is due later than the samples before it reach,
there is a hole, and what follows would come early. Clocks are also rounded, uneven, or wrong:

    due        0    20    40    61    79   100  |  2100  2120  2141     a hole of 2 s
    due        0    20    40    61   110   100  |   120   140   160     one uneven time: no hole
    due        0    20    40    61    79   100  | 90000 90020 90041     another clock: no hole
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

_LOOKAHEAD = 4  # frames that must agree, as single times may be wrong
_SETTLING = 64  # frames in which the offset of a slow or fast clock is followed
_COARSE = 0.5  # seconds: times of interleaved streams are those of their blocks
_LONGEST_BLOCK = 10  # seconds of interleaving that are no new clock
_LONGEST = 600  # seconds; a longer jump is a wrong clock, not a missing part


@dataclass(slots=True)
class Tick:
    """A frame, and what the container says about it."""

    frame: AudioFrame
    samples: int
    """Samples per channel of the frame."""
    due: int | None
    """Position of the frame's first sample on the container's clock; None if it does not say."""
    duration: int
    """Duration of its packet on the stream's clock; 0 if unknown."""
    bad: bool
    """Whether packets before it did not decode."""
    gap: int = 0
    """Samples per channel that are missing before it."""
    jump: int = 0
    """Samples by which the clock was set anew before it, or (a left-out part) nothing is known."""


class Clock:
    """Compares the times of frames with the samples before them.

    Args:
        rate: samples per second.
        exact: whether each frame states the number of its first sample.
        coarse: whether times belong to blocks of several packets.
        floor: seconds below which a difference is none.
    """

    def __init__(self, rate: int, *, exact: bool, coarse: bool, floor: float) -> None:
        self._rate = rate
        self._exact = exact
        self._coarse = coarse
        self._floor = round(floor * rate)
        self._offset: float | None = None

    def gaps(self, ticks: Iterator[Tick], position: int, end: int | None) -> Iterator[Tick]:
        """Yield the frames, with the gaps before them.

        Args:
            ticks: the frames.
            position: of the first one's first sample.
            end: samples per channel of the whole sound, as far as the container knows; a gap does
                not reach beyond.
        """
        ahead: deque[Tick] = deque()
        for tick in ticks:
            ahead.append(tick)
            if len(ahead) >= _LOOKAHEAD:
                yield self._judged(ahead, position, end)
                first = ahead.popleft()
                position += first.gap + first.samples
        while ahead:
            yield self._judged(ahead, position, end)
            first = ahead.popleft()
            position += first.gap + first.samples

    def _judged(self, ahead: deque[Tick], position: int, end: int | None) -> Tick:
        """Decide how much is missing before the first of some frames."""
        tick = ahead[0]
        if tick.due is None:
            return tick
        if self._offset is None:
            self._offset = tick.due - position
        late, reached = [], position + round(self._offset)
        for other in ahead:
            if other.due is not None:
                late.append(other.due - reached)
            reached += other.samples
        limit = 0 if self._exact else self._limit(tick.samples)
        if min(late) > (0 if tick.bad else limit):
            gap = min(late)
            if gap > _LONGEST * self._rate or (end is not None and position + gap > end):
                self._offset += gap
                tick.jump = gap
            else:
                tick.gap = gap
        elif max(late) < -(_LONGEST_BLOCK * self._rate if self._coarse else self._rate // 10):
            self._offset += max(late)
            tick.jump = max(late)
        elif not self._exact:
            self._offset += late[0] / _SETTLING if abs(late[0]) <= limit else 0
        return tick

    def _limit(self, samples: int) -> int:
        """Return the difference that is still rounding: half of a packet, within bounds."""
        if self._coarse:
            return round(_COARSE * self._rate)
        return max(self._floor, min(samples * 6 // 10, self._rate // 20))
