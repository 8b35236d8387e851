"""Encoding of WAV: exact integers, float, a channel mask, and any length.

A file starts as plain WAV with room for the 64-bit sizes of RF64 (EBU Tech 3306), and becomes RF64
at the end if it has grown past 4 GiB: the length need not be known beforehand.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._types import Samples
from .channels import CHANNEL_MASKS
from .checked_file import CheckedFile

#: The largest size that a RIFF header can hold; a longer file becomes RF64.
RIFF_LIMIT = 0xFFFFFFFF
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def to_integers(samples: Samples, bits: int) -> NDArray[np.int32]:
    """Round samples in [-1, 1) to integers of ``bits`` bits; others are clipped.

    Full scale is ``2 ** (bits - 1)``, as in reading, so that integers that were read are written
    unchanged, and parts that sum to the whole still do within one step.
    """
    scale = float(1 << (bits - 1))
    scaled = np.rint(samples.astype(np.float64) * scale)
    return np.clip(scaled, -scale, scale - 1).astype(np.int32)


def wav_header(
    *, sample_rate: int, channels: int, bits: int, is_float: bool, data_size: int
) -> bytes:
    """Return everything before the samples, for ``data_size`` bytes of them.

    The header is equally long for every size: RF64's chunk and its placeholder have one length.
    """
    block = channels * bits // 8
    fmt = _format_chunk(sample_rate, channels, bits, is_float)
    frames = data_size // block
    fact = b"fact" + struct.pack("<II", 4, min(frames, RIFF_LIMIT)) if is_float else b""
    riff_size = 4 + 36 + len(fmt) + len(fact) + 8 + data_size + data_size % 2
    if riff_size <= RIFF_LIMIT:
        start = b"RIFF" + struct.pack("<I", riff_size) + b"WAVE"
        sizes = b"JUNK" + struct.pack("<I", 28) + bytes(28)
        data = data_size
    else:
        start = b"RF64" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE"
        sizes = b"ds64" + struct.pack("<IQQQI", 28, riff_size, data_size, frames, 0)
        data = 0xFFFFFFFF
    return start + sizes + fmt + fact + b"data" + struct.pack("<I", data)


def _format_chunk(sample_rate: int, channels: int, bits: int, is_float: bool) -> bytes:
    tag = _FLOAT if is_float else _PCM
    block = channels * bits // 8
    common = struct.pack("<HIIHH", channels, sample_rate, sample_rate * block, block, bits)
    if channels <= 2:
        return b"fmt " + struct.pack("<IH", 16, tag) + common
    mask = CHANNEL_MASKS.get(channels, 0)
    extension = struct.pack("<HHI", 22, bits, mask) + struct.pack("<H", tag) + _SUBFORMAT_TAIL
    return b"fmt " + struct.pack("<IH", 40, _EXTENSIBLE) + common + extension


class WavEncoder:
    """A WAV file that grows block by block."""

    def __init__(self, path: Path, *, sample_rate: int, channels: int, bits: int) -> None:
        self._format = {
            "sample_rate": sample_rate,
            "channels": channels,
            "bits": bits,
            "is_float": bits == 32,
        }
        self._bits = bits
        self._size = 0
        self.file = CheckedFile(path)
        self.file.write(self._header())

    def write(self, block: Samples) -> None:
        """Append samples ``[C, n]``."""
        if self._bits == 32:
            content = np.ascontiguousarray(block.T, dtype="<f4").tobytes()
        else:
            integers = np.ascontiguousarray(to_integers(block, self._bits).T, dtype="<i4")
            kept = integers.view(np.uint8).reshape(-1, 4)[:, : self._bits // 8]
            content = kept.tobytes()
        self.file.write(content)
        self.file.check()
        self._size += len(content)

    def close(self) -> None:
        """Complete the header and close the file."""
        if self._size % 2:
            self.file.write(b"\0")
        self.file.seek(0)
        self.file.write(self._header())
        self.file.close()
        self.file.check()

    def abandon(self) -> None:
        """Close the file without completing it."""
        self.file.close()

    def _header(self) -> bytes:
        return wav_header(**self._format, data_size=self._size)  # type: ignore[arg-type]
