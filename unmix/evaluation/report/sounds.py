"""The sounds of an example as any browser plays them, all with one gain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..._types import Samples
from ...audio import AudioWriter, OutputFormat
from .excerpts import Excerpt

SOUNDS = ("mixture", "estimate", "reference", "error")
"""What an example is shown as; error is estimate minus reference."""
MEDIA_TYPE = "audio/mpeg"
_PEAK = 10 ** (-1 / 20)  # of full scale: an encoder's wave swings a little above what it is given
# Bits/s of a channel: nobody's browser lacks MP3, and at this rate what is heard is the separation.
_BITRATE = 80_000


def sounds(example: Excerpt) -> dict[str, Samples]:
    """Return the four sounds ``[C, N]`` of an example by name; see ``SOUNDS``.

    Samples that are not finite, as a broken model gives, are silence.

    Args:
        example: the excerpt.
    """
    # MP3 has two channels at most: of more, the mean is heard.
    mixture, estimate, reference = (
        _finite(samples if len(samples) <= 2 else samples.mean(0, keepdims=True))
        for samples in (example.mixture, example.estimate, example.reference)
    )
    found = (mixture, estimate, reference, estimate - reference)
    return dict(zip(SOUNDS, found, strict=True))


def common_gain(found: Mapping[str, Samples]) -> float:
    """Return the gain in dB, at most 0, with which none of the sounds clips.

    One for all, so that their loudness may be compared.

    Args:
        found: ``[C, N]`` by name.
    """
    peak = max(float(np.abs(samples).max()) for samples in found.values())
    return min(0.0, 20 * math.log10(_PEAK / peak)) if peak else 0.0


def encode(samples: Samples, sample_rate: int, gain: float) -> bytes:
    """Return an MP3 of samples ``[C, N]``, C at most 2; rates that MP3 lacks are resampled.

    Args:
        samples: the sound.
        sample_rate: Hz.
        gain: dB.

    Raises:
        AudioError: it cannot be encoded.
    """
    channels = len(samples)
    output = OutputFormat.parse("mp3", bitrate=_BITRATE * channels)
    with TemporaryDirectory(prefix="unmix-") as folder:
        path = Path(folder) / "sound.mp3"
        with AudioWriter(path, sample_rate=sample_rate, channels=channels, format=output) as writer:
            writer.write(samples * np.float32(10 ** (gain / 20)))
        return path.read_bytes()


def _finite(samples: Samples) -> Samples:
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
