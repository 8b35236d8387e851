"""MIDI files: read into notes, and written for FluidSynth to play."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Note(NamedTuple):
    """A note: start and end in seconds, MIDI pitch, MIDI velocity."""

    start: float
    end: float
    pitch: int
    velocity: int


class Part(NamedTuple):
    """The notes of one player."""

    stem: str
    program: int
    place: float
    """Stereo position from -1, left, to 1, right."""
    notes: list[Note]
    drums: bool = False


def read_midi(data: bytes) -> dict[str, list[Note]]:
    """Return the notes of a MIDI file by track name, lengthened by the sustain pedal."""
    header, size, _, tracks, division = struct.unpack(">4sIHHH", data[:14])
    if header != b"MThd" or division & 0x8000:
        raise ValueError("no header that divides beats into ticks")
    events, place = [], 8 + size
    for _ in range(tracks):
        size = struct.unpack(">I", data[place + 4 : place + 8])[0]
        events.append(list(_events(data[place + 8 : place + 8 + size])))
        place += 8 + size
    tempi = sorted(
        (tick, int.from_bytes(what[2:])) for t in events for tick, what in t if what[:2] == b"\xffQ"
    )
    ticks, seconds, tempo = [0], [0.0], 500_000
    for tick, following in [*tempi, (max(t for e in events for t, _ in e) + 1, 0)]:
        seconds.append(seconds[-1] + (tick - ticks[-1]) * tempo / division / 1e6)
        ticks.append(tick)
        tempo = following
    named: dict[str, list[Note]] = {}
    for kept in events:
        name = next((what[2:].decode("latin-1") for _, what in kept if what[:2] == b"\xff\x03"), "")
        timed = [(float(np.interp(tick, ticks, seconds)), what) for tick, what in kept]
        named.setdefault(name, []).extend(sorted(_notes(timed)))
    return named


def _events(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the events of a track: ticks from its start, status and data."""
    place, tick, status = 0, 0, 0
    while place < len(data):
        delta, place = _number(data, place)
        tick += delta
        if data[place] & 0x80:
            status, place = data[place], place + 1
        if status in (0xF0, 0xF7, 0xFF):
            kind = data[place : place + 1] if status == 0xFF else b""
            size, place = _number(data, place + len(kind))
            yield tick, bytes([status]) + kind + data[place : place + size]
        else:
            size = 1 if status >> 4 in (0xC, 0xD) else 2
            yield tick, bytes([status]) + data[place : place + size]
        place += size


def _number(data: bytes, place: int) -> tuple[int, int]:
    """Return a variable-length number, and the position after it."""
    value = 0
    while True:
        value = value << 7 | data[place] & 0x7F
        place += 1
        if data[place - 1] < 0x80:
            return value, place


def _notes(events: list[tuple[float, bytes]]) -> Iterator[Note]:
    """Yield the notes of events, timed in seconds."""
    sounding: dict[int, tuple[float, int]] = {}
    let_go: set[int] = set()
    pedal = False
    end = (max((time for time, _ in events), default=0.0), b"\xb0\x40\x00")
    for time, what in [*events, end]:
        kind, pitch = what[0] >> 4, what[1]
        struck = kind == 9 and what[2] > 0
        ended: list[int] = []
        if kind == 0xB and pitch == 64:
            pedal = what[2] >= 64
            ended = [] if pedal else sorted(let_go)
        elif kind in (8, 9) and pitch in sounding:
            if pedal and not struck:
                let_go.add(pitch)
            else:
                ended = [pitch]
        for key in ended:
            start, velocity = sounding.pop(key)
            let_go.discard(key)
            if time > start:
                yield Note(start, time, key, velocity)
        if struck:
            sounding[pitch] = time, what[2]


def write_midi(parts: Sequence[Part]) -> bytes:
    """Return a MIDI file with a track and a channel for each part."""
    chunks = []
    melodic = (channel for channel in range(16) if channel != 9)
    for part in parts:
        channel = 9 if part.drums else next(melodic)
        events = [
            (0, bytes([0xC0 | channel, part.program])),
            (0, bytes([0xB0 | channel, 10, pan(part.place)])),
        ]
        for note in part.notes:
            pitch = note.pitch & 0x7F
            events.append((_tick(note.start), bytes([0x90 | channel, pitch, note.velocity])))
            events.append((_tick(note.end), bytes([0x80 | channel, pitch, 0])))
        # A note that ends comes before one that begins at the same time, or it would end that one.
        events.sort(key=lambda event: (event[0], event[1][0] >> 4 == 9))
        body, before = b"", 0
        for tick, what in [*events, (max(t for t, _ in events) + _tick(2), b"\xff\x2f\x00")]:
            body += _written(tick - before) + what
            before = tick
        chunks.append(b"MTrk" + struct.pack(">I", len(body)) + body)
    return struct.pack(">4sIHHH", b"MThd", 6, 1, len(chunks), 1000) + b"".join(chunks)


def pan(place: float) -> int:
    """Return the MIDI pan of a position from -1, left, to 1, right; 64 is the middle."""
    return round(64 + 63 * place)


def _tick(seconds: float) -> int:
    """Return a time in ticks: a beat is 1000 ticks and half a second."""
    return round(2000 * seconds)


def _written(number: int) -> bytes:
    """Return a number in MIDI's variable-length encoding."""
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))
