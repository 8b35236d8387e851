"""Songs as POP909 has them (Wang et al., ISMIR 2020): notes by track, beats and chords."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from unmix.errors import UnmixError

from .midi import Note, read_midi

#: Semitones above the root: of a chord's tones, and of a degree that may be its bass.
CHORDS = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8),
    "sus2": (0, 2, 7), "sus4": (0, 5, 7), "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9),
    "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10), "minmaj7": (0, 3, 7, 11),
    "dim7": (0, 3, 6, 9), "hdim7": (0, 3, 6, 10), "sus4(b7)": (0, 5, 7, 10),
}  # fmt: skip
DEGREES = {"2": 2, "b3": 3, "3": 4, "4": 5, "b5": 6, "5": 7, "6": 9, "b7": 10, "7": 11}
NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11, "#": 1, "b": -1}


class Chord(NamedTuple):
    """A chord: start and end in seconds, bass and tones as pitch classes (0 is C)."""

    start: float
    end: float
    bass: int
    tones: tuple[int, ...]


class Song(NamedTuple):
    """A song: notes, beats, chords."""

    name: str
    tracks: dict[str, list[Note]]
    beats: np.ndarray
    """Seconds."""
    bars: list[int]
    """Indices of the beats that begin a bar."""
    chords: list[Chord]


def read_song(folder: Path) -> Song:
    """Read a song's folder.

    Raises:
        UnmixError: if a file is missing or invalid.
    """
    midi = folder / f"{folder.name}.mid"
    try:
        tracks = read_midi(midi.read_bytes())
    except FileNotFoundError as error:
        raise UnmixError(f"{error.filename}: no such file") from None
    except (struct.error, LookupError, ValueError) as error:
        raise UnmixError(f"{midi}: not a valid MIDI file: {error}") from None
    try:
        beats = _lines(folder / "beat_midi.txt")
        chords = [read_chord(words, folder) for words in _lines(folder / "chord_midi.txt")]
        return Song(
            name=folder.name,
            tracks=tracks,
            beats=np.array([float(beat[0]) for beat in beats]),
            bars=[index for index, beat in enumerate(beats) if float(beat[2])],
            chords=[chord for chord in chords if chord is not None],
        )
    except FileNotFoundError as error:
        raise UnmixError(f"{error.filename}: no such file") from None
    except (LookupError, ValueError) as error:
        raise UnmixError(f"{folder}: invalid beat_midi.txt or chord_midi.txt: {error}") from None


def _lines(path: Path) -> list[list[str]]:
    """Return the words of every line that is not empty."""
    return [words for line in path.read_text().splitlines() if (words := line.split())]


def read_chord(words: Sequence[str], folder: Path) -> Chord | None:
    """Return the chord of a line such as ``0.5 2.1 F#:min7/b3``; None for ``N``, no chord."""
    start, end, name = words[:3]
    if name == "N":
        return None
    root, _, kind = name.partition(":")
    kind, _, degree = kind.partition("/")
    if kind not in CHORDS or (degree and degree not in DEGREES) or not NOTES.keys() >= set(root):
        raise UnmixError(f"{folder}/chord_midi.txt: unknown chord {name}")
    pitch = sum(NOTES[sign] for sign in root)
    tones = tuple((pitch + step) % 12 for step in CHORDS[kind])
    return Chord(float(start), float(end), (pitch + DEGREES.get(degree, 0)) % 12, tones)


def varied(song: Song, random: Generator) -> Song:
    """Return a song in another key and tempo."""
    up, slower = int(random.integers(-4, 5)), float(random.uniform(0.9, 1.12))
    return Song(
        song.name,
        {
            name: [Note(n.start * slower, n.end * slower, n.pitch + up, n.velocity) for n in notes]
            for name, notes in song.tracks.items()
        },
        song.beats * slower,
        song.bars,
        [
            Chord(
                chord.start * slower,
                chord.end * slower,
                (chord.bass + up) % 12,
                tuple((tone + up) % 12 for tone in chord.tones),
            )
            for chord in song.chords
        ],
    )
