"""Players: who plays a song, what they improvise over its beats and chords, and how evenly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .midi import Note, Part
from .songs import Chord, Song

KICK, STICK, SNARE, CLAP, CLOSED, OPEN, CRASH, RIDE = 36, 37, 38, 39, 42, 46, 49, 51
TOMS = (50, 47, 45, 43)
EIGHTHS, SIXTEENTHS = np.arange(0, 4, 0.5), np.arange(0, 4, 0.25)
#: Beats of a bar on which each drum is struck.
GROOVES: dict[str, dict[int, Sequence[float] | NDArray[np.float64]]] = {
    "straight": {KICK: (0, 2), SNARE: (1, 3), CLOSED: EIGHTHS},
    "pushed": {KICK: (0, 1.5, 2), SNARE: (1, 3), CLOSED: EIGHTHS},
    "ride": {KICK: (0, 0.5, 2.5), SNARE: (1, 3), RIDE: EIGHTHS},
    "four": {KICK: (0, 1, 2, 3), CLAP: (1, 3), OPEN: (0.5, 1.5, 2.5, 3.5)},
    "half": {KICK: (0, 1.75), SNARE: (2,), CLOSED: EIGHTHS},
    "ballad": {KICK: (0, 2.5), STICK: (1, 3), CLOSED: EIGHTHS},
    "busy": {KICK: (0, 0.75, 2.5), SNARE: (1, 3, 3.75), CLOSED: SIXTEENTHS},
}
#: Bass lines: beat of a bar, length in beats, semitones above the chord's bass.
LINES: dict[str, list[tuple[float, float, int]]] = {
    "eighths": [(float(beat), 0.45, 0) for beat in EIGHTHS],
    "octaves": [(float(beat), 0.4, 12 if beat % 1 else 0) for beat in EIGHTHS],
    "fifths": [(0.0, 1.4, 0), (1.5, 0.4, 0), (2.0, 1.4, 7), (3.5, 0.4, 7)],
    "pushed": [(0.0, 1.4, 0), (1.5, 1.0, 0), (2.5, 1.4, 0)],
    "long": [(0.0, 1.95, 0), (2.0, 1.95, 0)],
}
#: General MIDI programs, counted from 0.
PIANOS, GUITARS, BASSES = (0, 1, 2, 4, 5), (24, 25, 26, 27), (32, 33, 34, 35, 36, 38)
PADS, LEADS = (48, 49, 50, 51, 52, 89, 90), (22, 40, 56, 64, 65, 73, 74, 80, 81)


def arrange(song: Song, random: Generator) -> list[Part]:
    """Return the parts of a song: instruments, positions and notes, played a little unevenly."""

    def player(programs: Sequence[int]) -> int:
        return int(random.choice(programs))

    def place(width: float) -> float:
        return float(random.uniform(-width, width))

    parts = [
        Part("drums", int(random.choice((0, 0, 8, 16, 25, 40))), 0.0, drums(song, random), True),
        Part("bass", player(BASSES), place(0.1), bass(song, random)),
        Part("other", player(PIANOS), place(0.4), song.tracks.get("PIANO", [])),
        Part("other", player((*LEADS, *PIANOS)), place(0.7), song.tracks.get("BRIDGE", [])),
    ]
    if random.random() < 0.5:
        parts.append(Part("other", player(PADS), place(0.5), pad(song)))
    if random.random() < 0.5:
        parts.append(Part("other", player(GUITARS), place(0.8), strummed(song, random)))
    if random.random() < 0.3:
        parts.append(Part("other", player(LEADS), place(0.3), song.tracks.get("MELODY", [])))
    return [part._replace(notes=humanised(part.notes, random)) for part in parts if part.notes]


def drums(song: Song, random: Generator) -> list[Note]:
    """Return a drum part: a groove for some bars, a fill, a cymbal, sometimes another groove.

    It starts with the chords or some bars later.
    """
    name = str(random.choice(list(GROOVES)))
    phrase = int(random.choice((4, 8)))
    bars = _bars(song)
    wait = min(int(random.choice((0, 0, 4, 8))), len(bars) // 4)
    struck: list[tuple[float, int, int]] = []
    for count, (first, last) in enumerate(bars):
        if count < wait:
            continue
        fill = (count + 1) % phrase == 0 and random.random() < 0.7
        ends = last - (int(random.choice((1, 2))) if fill else 0)
        for drum, beats in GROOVES[name].items():
            for beat in beats:
                if first + beat < ends:
                    struck.append((first + beat, drum, 100 if beat % 1 == 0 else 80))
        if fill:
            steps = np.arange(ends, last, 0.25)
            toms = [(SNARE, *TOMS)[index * 5 // len(steps)] for index in range(len(steps))]
            struck += [(float(s), tom, 90) for s, tom in zip(steps, toms, strict=True)]
            if random.random() < 0.3:
                name = str(random.choice(list(GROOVES)))
        if count % phrase == 0 and random.random() < 0.8:
            struck.append((first, CRASH, 95))
    times = _seconds(song, [beat for beat, _, _ in struck])
    return [Note(t, t + 0.1, drum, v) for t, (_, drum, v) in zip(times, struck, strict=True)]


def bass(song: Song, random: Generator) -> list[Note]:
    """Return a bass line under the chords."""
    line = LINES[str(random.choice(list(LINES)))]
    lowest = int(random.integers(26, 31))
    notes = []
    for first, last in _bars(song):
        kept = [step for step in line if first + step[0] < last]
        starts = _seconds(song, [first + beat for beat, _, _ in kept])
        ends = _seconds(song, [first + beat + length for beat, length, _ in kept])
        for start, end, (beat, _, above) in zip(starts, ends, kept, strict=True):
            chord = chord_at(song, start)
            if chord is None:
                continue
            if above == 7 and (chord.bass + 7) % 12 not in chord.tones:
                above = 0
            pitch = lowest + (chord.bass - lowest) % 12 + above
            end = min(end, chord.end)
            if end > start:
                notes.append(Note(start, end, pitch, 100 if beat == 0 else 88))
    return notes


def pad(song: Song) -> list[Note]:
    """Return every chord, held, in the middle register."""
    return [
        Note(chord.start, chord.end, 55 + (tone - 55) % 12, 70)
        for chord in song.chords
        for tone in chord.tones
    ]


def strummed(song: Song, random: Generator) -> list[Note]:
    """Return chords strummed on a guitar: in eighths, some left out, string by string."""
    kept = [beat for beat in EIGHTHS if beat % 4 == 0 or random.random() < 0.6]
    notes = []
    for first, last in _bars(song):
        starts = _seconds(song, [first + float(beat) for beat in kept if first + beat < last])
        for start, following in pairwise([*starts, *_seconds(song, [last])]):
            chord = chord_at(song, start)
            if chord is None:
                continue
            pitches = sorted(52 + (tone - 52) % 12 + up for tone in chord.tones for up in (0, 12))
            for string, pitch in enumerate(pitches):
                late = 0.012 * string
                notes.append(Note(start + late, max(following, start + late + 0.05), pitch, 75))
    return notes


def chord_at(song: Song, time: float) -> Chord | None:
    """Return the chord at a time, or one that begins within 20 ms."""
    return next((c for c in song.chords if c.start - 0.02 <= time < c.end - 0.02), None)


def _bars(song: Song) -> list[tuple[int, int]]:
    """Return the first beat of each bar with chords, and the first after it.

    A long bar counts as several: one of six beats as two of three.
    """
    if not song.chords:
        return []
    start, end = song.chords[0].start - 0.02, song.chords[-1].end
    bars = []
    for first, following in pairwise([*song.bars, len(song.beats)]):
        step = 3 if (following - first) % 3 == 0 else 4
        for begin in range(first, following, step):
            if start <= song.beats[begin] < end:
                bars.append((begin, min(begin + step, following)))
    return bars


def _seconds(song: Song, beats: Sequence[float]) -> list[float]:
    """Return the times of beats, fractions of beats, and beats after the last."""
    after = song.beats[-1] + np.median(np.diff(song.beats)) * np.arange(1, 9)
    times = np.concatenate([song.beats, after])
    return [float(time) for time in np.interp(beats, np.arange(len(times)), times)]


def humanised(notes: Sequence[Note], random: Generator) -> list[Note]:
    """Return notes a little early or late, and a little louder or softer."""
    habit = float(random.normal(0, 0.005))
    played = []
    for note in notes:
        late = habit + float(np.clip(random.normal(0, 0.007), -0.02, 0.02))
        velocity = int(np.clip(note.velocity + random.normal(0, 7), 1, 127))
        start = max(0.0, note.start + late)
        played.append(Note(start, max(note.end + late, start + 0.03), note.pitch, velocity))
    return played


def cut(notes: Sequence[Note], seconds: float) -> list[Note]:
    """Return the notes that start before a time, cut off there."""
    return [note._replace(end=min(note.end, seconds)) for note in notes if note.start < seconds]
