"""Damage to a whole file: cuts, flips, header fields, holes, and strange bytes before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

#: Where files are cut: bytes, or fractions of the file.
_CUTS = (0, 1, 4, 12, 44, 64, 200, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, -1)
#: Values that are put into header fields.
EXTREMES = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x01",
    b"\x01\0\0\0",
)
_FIELDS = 10
#: An ID3 tag without a frame, and one that claims 256 MiB.
_ID3 = b"ID3\3\0\0\0\0\0\x0a" + bytes(10)
_ID3_HUGE = b"ID3\4\0\0\x7f\x7f\x7f\x7f"


@dataclass(frozen=True)
class Damage:
    """A damaged file."""

    name: str
    data: bytes
    loses: bool = False
    """Whether sound was removed while the header still promises it."""


def damages(data: bytes, random: Random) -> Iterator[Damage]:
    """Yield damaged copies of a file, the same ones for the same random state."""
    size = len(data)
    for cut in _CUTS:
        end = round(cut * size) if isinstance(cut, float) else cut % size if cut < 0 else cut
        if end < size:
            yield Damage(f"cut{end}", data[:end], loses=True)
    half, quarter = size // 2, size // 4
    noise = random.randbytes(4096)
    yield Damage("hole", data[:half] + data[half + size // 10 :], loses=True)
    yield Damage("zeros-end", data[:half] + bytes(size - half), loses=True)
    yield Damage("zeros-middle", data[:quarter] + bytes(quarter) + data[quarter + quarter :])
    yield Damage("zeros-all", bytes(size))
    yield Damage("noise-end", data[:half] + random.randbytes(size - half), loses=True)
    yield Damage("noise-all", random.randbytes(size))
    yield Damage("swapped", data[:quarter] + data[half:] + data[quarter:half])
    yield Damage("doubled", data[:half] + data[quarter:])
    yield Damage("twice", data + data)
    yield Damage("garbage-after", data + noise)
    yield Damage("byte-after", data + b"\0")
    yield Damage("zeros-after", data + bytes(70000))
    yield Damage("garbage-before", noise[:100] + data)
    yield Damage("zeros-before", bytes(512) + data)
    yield Damage("id3-before", _ID3 + data)
    yield Damage("id3-huge-before", _ID3_HUGE + data)
    yield Damage("id3-cut", _ID3 + data[:half], loses=True)
    yield Damage("id3v1-after", data + b"TAG".ljust(128, b"\0"))
    yield Damage("lines", data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    yield Damage("bits-header", flipped(data, random, 3, min(size, 256)))
    yield Damage("bits-few", flipped(data, random, 5, size))
    yield Damage("bits-many", flipped(data, random, max(1, size // 1000), size))
    for number in range(_FIELDS):
        at = random.randrange(max(1, min(size, 128)) // 2) * 2
        value = random.choice(EXTREMES)[: random.choice((1, 2, 4, 4))]
        yield Damage(f"field{number}-{at}", data[:at] + value + data[at + len(value) :])


def flipped(data: bytes, random: Random, count: int, end: int) -> bytes:
    """Return a copy with single bits flipped before an end."""
    changed = bytearray(data)
    for _ in range(count if data else 0):
        changed[random.randrange(end)] ^= 1 << random.randrange(8)
    return bytes(changed)
