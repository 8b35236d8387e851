"""Some seconds of a track, to look at and to listen to."""

from __future__ import annotations

from dataclasses import dataclass

from ..._types import Samples


@dataclass(frozen=True)
class Example:
    """An excerpt of a track: its mixture, and a stem as estimated and as it is."""

    track: str
    stem: str
    start: float
    """Seconds into the track."""
    sample_rate: int
    """Hz."""
    mixture: Samples
    """``[C, N]``."""
    estimate: Samples
    """Likewise."""
    reference: Samples
    """Likewise."""
