"""Files that hypothesis builds and a mutator changes, for as long as one likes."""

from __future__ import annotations

import argparse
import struct
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as some

from .counting import Counts, Report
from .damage import EXTREMES
from .inputs import FAULTS, Judge
from .job import HALVING, separate_case, tried
from .pool import Case, Outcome, Pool, Work
from .seeds import Seed, seeds
from .weights import read_weights, weight_seeds

#: Files of a round: hypothesis makes one part of them, the mutator three.
_BUILT = 100
_CHANGED = 3 * _BUILT
#: One of so many changed files is only cut, so that its length can be judged.
_CUT = 8
_WEIGHTS = "readers of weights"


def fuzz(options: argparse.Namespace, folder: Path) -> Report:
    """Separate files that hypothesis builds from headers, and seeds of every format with changes.

    The counts are those of ``inputs``; only of a file that is nothing but cut is it known how long
    it should be. Weights, changed in the same ways, go through their readers: a file may load, or
    be refused with a sentence.
    """
    counts = Counts(FAULTS, options.keep)
    pool = Pool(
        partial(start, folder), workers=options.workers, limit=options.limit, memory=options.memory
    )
    judge = Judge(counts)
    for case, outcome in pool.run(_cases(options.seed, 60 * options.minutes)):
        judge.count(case, outcome)
    what = f"{options.minutes:g} min of hypothesis and a mutator over every format and weights"
    return Report(what, counts.figures("files"), counts.total)


def start(folder: Path) -> Work:
    """Return what works on cases in this process, in a folder of its own."""
    own = Path(tempfile.mkdtemp(dir=folder))

    def work(case: Case) -> Outcome:
        if not case.job.startswith(_WEIGHTS):
            return separate_case(case, own)
        path = own / case.name
        path.write_bytes(case.data)
        try:
            return tried(partial(read_weights, path))
        finally:
            path.unlink()

    return work


def _cases(seed: int, seconds: float) -> Iterator[Case]:
    """Yield the whole seeds, then rounds of built and changed files until the time is over."""
    end = time.monotonic() + seconds
    audio = list(seeds())
    weights = list(weight_seeds())
    for one in audio:
        yield Case(one.name, one.data, group=one.name)
    number = 0
    while time.monotonic() < end:
        number += 1
        random = Random(f"{seed} {number}")
        for index, data in enumerate(built(hash((seed, number)), _BUILT)):
            yield Case(f"built-{number}-{index}.wav", data)
        for index in range(_CHANGED):
            yield _changed(random, audio, HALVING, f"{number}-{index}")
        for index in range(_BUILT):
            yield _changed(random, weights, _WEIGHTS, f"{number}-{index}")
        print(f"round {number}, {max(0, end - time.monotonic()):.0f} s left", flush=True)


def _changed(random: Random, among: Sequence[Seed], job: str, number: str) -> Case:
    one = random.choice(among)
    name = f"{number}-{one.name}"
    if random.randrange(_CUT):
        return Case(name, changed(one.data, random, among), job=job)
    data = one.data[: random.randrange(len(one.data))]
    return Case(name, data, job=job, group=one.name, loses=one.promises)


def changed(data: bytes, random: Random, among: Sequence[Seed]) -> bytes:
    """Return a copy with a few changes, mostly near its beginning, where headers are."""
    made = bytearray(data)
    for _ in range(2 ** random.randrange(6)):
        size = len(made)
        if not size:
            break
        at = random.randrange(min(size, random.choice((16, 128, 1024, size))))
        length = 2 ** random.randrange(random.choice((4, 14)))
        match random.randrange(7):
            case 0:
                made[at] ^= 1 << random.randrange(8)
            case 1:
                made[at] = random.randrange(256)
            case 2:
                value = random.choice(EXTREMES)
                made[at : at + len(value)] = value
            case 3:
                del made[at : at + length]
            case 4:
                made[at:at] = made[random.randrange(size) :][:length]
            case 5:
                made[at : at + length] = random.randbytes(length)
            case _:
                other = random.choice(among).data
                made[at:at] = other[random.randrange(len(other)) :][:length]
    return bytes(made)


def built(seed: int, count: int) -> list[bytes]:
    """Return files that hypothesis builds, the same ones for the same seed."""
    found: list[bytes] = []

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(files())
    def collect(data: bytes) -> None:
        found.append(data)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collect()
    return found


def files() -> some.SearchStrategy[bytes]:
    """Return a strategy for files whose headers are formed well enough to be believed."""
    content = some.binary(max_size=400)
    size = some.one_of(some.none(), some.integers(0, 2**32 - 1), some.sampled_from(_SIZES))
    small, large = some.sampled_from(_SMALL), some.sampled_from(_SIZES) | some.integers(0, 400000)

    def chunk(order: str, names: Sequence[bytes]) -> some.SearchStrategy[bytes]:
        pack = partial(_chunk, order)
        return some.builds(pack, some.sampled_from(names), content, size)

    def fmt(order: str) -> some.SearchStrategy[bytes]:
        fields = some.tuples(small, small, large, large, small, small)
        made = some.builds(lambda held: struct.pack(f"{order}HHIIHH", *held), fields)
        return some.builds(partial(_chunk, order, b"fmt "), made, size)

    def parts(*one: some.SearchStrategy[bytes]) -> some.SearchStrategy[bytes]:
        return some.lists(some.one_of(*one), max_size=6).map(b"".join)

    def headed(head: bytes, rest: some.SearchStrategy[bytes]) -> some.SearchStrategy[bytes]:
        return some.builds(lambda number, body: head % number + body, large.map(_big), rest)

    riff = parts(fmt("<"), chunk("<", (b"data", b"data", b"LIST", b"id3 ", b"fact", b"ds64")))
    aiff = parts(chunk(">", (b"COMM", b"SSND", b"ID3 ", b"NAME")))
    boxes = some.recursive(
        content, lambda inner: some.lists(some.builds(_box, some.sampled_from(_BOXES), inner, size))
        .map(b"".join), max_leaves=12,
    )  # fmt: skip
    page = some.builds(_page, some.integers(0, 7), large, small, content)
    tag = some.builds(_tag, parts(chunk(">", (b"TIT2", b"APIC", b"USLT", b"CHAP"))), size)
    whole = some.one_of(
        headed(b"RIFF%bWAVE", riff),
        headed(b"FORM%bAIFF", aiff),
        headed(b"fLaC\0\0\0\x22%b", content),
        headed(b".snd\0\0\0\x18%b", content),
        headed(b"caff\0\1\0\0desc%b", content),
        headed(b"\x1a\x45\xdf\xa3%b", content),
        boxes.map(lambda body: b"\0\0\0\x14ftypM4A \0\0\0\0M4A " + body),
        some.lists(page, min_size=1, max_size=6).map(b"".join),
        some.lists(some.binary(min_size=2, max_size=420), max_size=6).map(
            lambda frames: b"".join(b"\xff\xfb" + frame for frame in frames)
        ),
    )
    return whole | some.builds(lambda first, rest: first + rest, tag, whole) | content


_SMALL = (0, 1, 2, 3, 4, 6, 8, 16, 17, 24, 32, 64, 80, 85, 255, 0x161, 0x7FFF, 0xFFFE, 0xFFFF)
_SIZES = (0, 1, 8000, 44100, 48000, 176400, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1)
_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stts", b"stsz", b"stco", b"mdat",
          b"mvhd", b"mdhd", b"hdlr", b"esds", b"mp4a", b"udta", b"meta", b"ilst")  # fmt: skip


def _big(number: int) -> bytes:
    return struct.pack(">I", number)


def _chunk(order: str, name: bytes, content: bytes, size: int | None) -> bytes:
    held = len(content) if size is None else size
    return name + struct.pack(f"{order}I", held) + content + b"\0" * (len(content) % 2)


def _box(name: bytes, content: bytes, size: int | None) -> bytes:
    return _big(len(content) + 8 if size is None else size) + name + content


def _page(flags: int, position: int, serial: int, content: bytes) -> bytes:
    """Return an Ogg page with a packet."""
    sizes = bytes([255] * (len(content) // 255) + [len(content) % 255])
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, position, serial, 0, 0)
    return head + bytes([len(sizes)]) + sizes + content


def _tag(frames: bytes, size: int | None) -> bytes:
    held = len(frames) if size is None else size
    return b"ID3\4\0\0" + bytes(held >> shift & 0x7F for shift in (21, 14, 7, 0)) + frames
