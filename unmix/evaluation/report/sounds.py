"""The sounds of an example as MP3, all with one gain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir

import numpy as np

from ..._types import Samples
from ...audio import AudioWriter, OutputFormat
from ...storage import hidden_folder
from .excerpts import Excerpt

SOUNDS = ("mixture", "estimate", "reference", "error")
"""Sounds of an example; the error is estimate minus reference."""
MEDIA_TYPE = "audio/mpeg"
_PEAK = 10 ** (-1 / 20)  # of full scale: encoders overshoot a little
# Bits/s of a channel: at this rate, artefacts are those of the separation.
_BITRATE = 80_000


def sounds(example: Excerpt) -> dict[str, Samples]:
    """Return the four sounds ``[C, N]`` of an example by name; see ``SOUNDS``.

    NaN and infinite samples are replaced with zero.
    """
    # MP3 has at most two channels: take the mean of more.
    mixture, estimate, reference = (
        _finite(samples if len(samples) <= 2 else samples.mean(0, keepdims=True))
        for samples in (example.mixture, example.estimate, example.reference)
    )
    found = (mixture, estimate, reference, estimate - reference)
    return dict(zip(SOUNDS, found, strict=True))


def common_gain(found: Mapping[str, Samples]) -> float:
    """Return the gain in dB, at most 0, at which no sound ``[C, N]`` clips.

    It is one for all, so that their loudness can be compared.
    """
    peak = max(float(np.abs(samples).max()) for samples in found.values())
    return min(0.0, 20 * math.log10(_PEAK / peak)) if peak else 0.0


def encode(samples: Samples, sample_rate: int, gain: float) -> bytes:
    """Return an MP3 of samples ``[C, N]``, resampled if MP3 lacks their rate.

    Args:
        samples: the sound; C at most 2.
        sample_rate: Hz.
        gain: dB.

    Raises:
        AudioError: it cannot be encoded.
    """
    channels = len(samples)
    output = OutputFormat.parse("mp3", bitrate=_BITRATE * channels)
    with hidden_folder(Path(gettempdir())) as folder:
        path = folder / "sound.mp3"
        with AudioWriter(path, sample_rate=sample_rate, channels=channels, format=output) as writer:
            writer.write(samples * np.float32(10 ** (gain / 20)))
        return path.read_bytes()


def _finite(samples: Samples) -> Samples:
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
