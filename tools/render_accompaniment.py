"""python tools/render_accompaniment.py ../shared/data/midi/pop909 OUT: render accompaniments from
MIDI, for training.

Reads songs as POP909 has them (Wang et al., ISMIR 2020): a folder each, with a MIDI file whose
tracks are MELODY, BRIDGE and PIANO, and beats and chords as text. Drums and bass, and now and then
a guitar and a pad, are made up from beats and chords; piano and bridge are played as they were
written; the melody, which is the singer's, only sometimes and by an instrument. Everybody plays a
little unevenly, stands somewhere between left and right, and in one small room with the others.

Writes OUT/SONG/{drums,bass,other}.flac: a corpus of a recipe, with a weight ``accompaniment`` and
none for the voice. Needs FluidSynth and a General MIDI SoundFont: on Debian the packages fluidsynth
and fluid-soundfont-gm. Songs that are there already are left alone, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from rich.progress import track

from unmix.audio import AudioWriter, OutputFormat, open_audio
from unmix.errors import UnmixError
from unmix.stems import INSTRUMENTS
from unmix.training.augment.chance import Chance
from unmix.training.augment.config import ReverbConfig
from unmix.training.augment.room import reverberate

SOUNDFONTS = ("/usr/share/sounds/sf2/default-GM.sf2", "/usr/share/sounds/sf2/FluidR3_GM.sf2")
REMEDY = "on Debian: apt-get install fluidsynth fluid-soundfont-gm"
#: Semitones of the tones of a chord above its root, and of the tones that may be its bass.
CHORDS = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8),
    "sus2": (0, 2, 7), "sus4": (0, 5, 7), "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9),
    "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10), "minmaj7": (0, 3, 7, 11),
    "dim7": (0, 3, 6, 9), "hdim7": (0, 3, 6, 10), "sus4(b7)": (0, 5, 7, 10),
}  # fmt: skip
DEGREES = {"2": 2, "b3": 3, "3": 4, "4": 5, "b5": 6, "5": 7, "6": 9, "b7": 10, "7": 11}
NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11, "#": 1, "b": -1}
KICK, STICK, SNARE, CLAP, CLOSED, OPEN, CRASH, RIDE = 36, 37, 38, 39, 42, 46, 49, 51
TOMS = (50, 47, 45, 43)
EIGHTHS, SIXTEENTHS = np.arange(0, 4, 0.5), np.arange(0, 4, 0.25)
#: Beats of a bar on which a drum is struck.
GROOVES = {
    "straight": {KICK: (0, 2), SNARE: (1, 3), CLOSED: EIGHTHS},
    "pushed": {KICK: (0, 1.5, 2), SNARE: (1, 3), CLOSED: EIGHTHS},
    "ride": {KICK: (0, 0.5, 2.5), SNARE: (1, 3), RIDE: EIGHTHS},
    "four": {KICK: (0, 1, 2, 3), CLAP: (1, 3), OPEN: (0.5, 1.5, 2.5, 3.5)},
    "half": {KICK: (0, 1.75), SNARE: (2,), CLOSED: EIGHTHS},
    "ballad": {KICK: (0, 2.5), STICK: (1, 3), CLOSED: EIGHTHS},
    "busy": {KICK: (0, 0.75, 2.5), SNARE: (1, 3, 3.75), CLOSED: SIXTEENTHS},
}
#: Beat of a bar, length in beats, and semitones above the chord's bass.
LINES = {
    "eighths": [(float(beat), 0.45, 0) for beat in EIGHTHS],
    "octaves": [(float(beat), 0.4, 12 * (beat % 1 > 0)) for beat in EIGHTHS],
    "fifths": [(0.0, 1.4, 0), (1.5, 0.4, 0), (2.0, 1.4, 7), (3.5, 0.4, 7)],
    "pushed": [(0.0, 1.4, 0), (1.5, 1.0, 0), (2.5, 1.4, 0)],
    "long": [(0.0, 1.95, 0), (2.0, 1.95, 0)],
}
#: General MIDI programs, from 0, that may play a part.
PIANOS, GUITARS, BASSES = (0, 1, 2, 4, 5), (24, 25, 26, 27), (32, 33, 34, 35, 36, 38)
PADS, LEADS = (48, 49, 50, 51, 52, 89, 90), (22, 40, 56, 64, 65, 73, 74, 80, 81)
#: Range of the levels of stems against each other, and level of their sum, in dB.
BALANCE = {"drums": (-5.0, 1.0), "bass": (-6.0, 0.0), "other": (-3.0, 3.0)}
LOUDNESS = -16.0


class Note(NamedTuple):
    """A note: seconds, MIDI pitch, MIDI velocity."""

    start: float
    end: float
    pitch: int
    velocity: int


class Chord(NamedTuple):
    """A chord: seconds, and pitch classes, 0 for C."""

    start: float
    end: float
    bass: int
    tones: tuple[int, ...]


class Song(NamedTuple):
    """What is known of a song."""

    name: str
    tracks: dict[str, list[Note]]
    beats: np.ndarray
    """Seconds."""
    bars: list[int]
    """Which beats begin a bar."""
    chords: list[Chord]


class Part(NamedTuple):
    """What one player plays."""

    stem: str
    program: int
    place: float
    """From left, -1, to right, 1."""
    notes: list[Note]
    drums: bool = False


def main() -> int:
    """Read the arguments and render; songs that cannot be rendered are named and counted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--soundfont", type=Path, help="a General MIDI SoundFont, .sf2 or .sf3")
    parser.add_argument("--sample-rate", type=int, default=44100, help="Hz")
    parser.add_argument("--versions", type=int, default=1, help="of a song, each played otherwise")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of a song, at most")
    parser.add_argument("--seed", type=int, default=0, help="another one: other players")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    try:
        soundfont = find_soundfont(options.soundfont)
    except UnmixError as error:
        raise SystemExit(str(error)) from None
    folders = sorted(path for path in options.source.iterdir() if path.is_dir())
    jobs = [(folder, version) for folder in folders for version in range(options.versions)]
    work = partial(_render_song, options, soundfont)
    with ProcessPoolExecutor(options.workers) as pool:
        faults = [fault for fault in track(pool.map(work, jobs), total=len(jobs)) if fault]
    print(*faults, f"{len(jobs) - len(faults)} of {len(jobs)} songs are ready", sep="\n")
    return 1 if faults else 0


def find_soundfont(wanted: Path | None) -> Path:
    """Return the SoundFont to render with, once there is a FluidSynth to read it."""
    if shutil.which("fluidsynth") is None:
        raise UnmixError(f"rendering needs the program fluidsynth, which is not there; {REMEDY}")
    places = [wanted] if wanted else [Path(place) for place in SOUNDFONTS]
    for place in places:
        if place.is_file():
            return place
    raise UnmixError(f"there is no SoundFont {' or '.join(map(str, places))}; {REMEDY}")


def _render_song(options: argparse.Namespace, soundfont: Path, job: tuple[Path, int]) -> str:
    """Render one version of a song into its folder; return what was wrong with it, or nothing."""
    folder, version = job
    destination = options.out / (f"{folder.name}-{version}" if version else folder.name)
    if destination.exists():
        return ""
    torch.set_num_threads(1)
    random = np.random.default_rng([options.seed, version, *folder.name.encode()])
    try:
        song = read_song(folder)
        parts = arrange(varied(song, random) if version else song, random)
        parts = [part._replace(notes=cut(part.notes, options.seconds)) for part in parts]
        options.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=options.out, prefix=".") as scratch:
            stems = {
                stem: play(
                    [part for part in parts if part.stem == stem],
                    soundfont,
                    Path(scratch),
                    options.sample_rate,
                )
                for stem in INSTRUMENTS
            }
            ready = Path(scratch) / "ready"
            ready.mkdir()
            for stem, samples in mix(stems, options.sample_rate, random).items():
                with AudioWriter(
                    ready / f"{stem}.flac",
                    sample_rate=options.sample_rate,
                    channels=2,
                    format=OutputFormat.parse("flac", bit_depth=16),
                ) as writer:
                    writer.write(samples)
            ready.rename(destination)
    except (UnmixError, OSError) as error:
        return f"{folder}: {error}"
    return ""


def read_song(folder: Path) -> Song:
    """Read a song of POP909."""
    midi = folder / f"{folder.name}.mid"
    try:
        tracks = read_midi(midi.read_bytes())
        beats = [line.split() for line in (folder / "beat_midi.txt").read_text().splitlines()]
        lines = [line.split() for line in (folder / "chord_midi.txt").read_text().splitlines()]
    except FileNotFoundError as error:
        raise UnmixError(f"{error.filename} is not there") from None
    except (struct.error, IndexError, ValueError) as error:
        raise UnmixError(f"{midi} is damaged: {error}") from None
    return Song(
        name=folder.name,
        tracks=tracks,
        beats=np.array([float(beat[0]) for beat in beats if beat]),
        bars=[index for index, beat in enumerate(b for b in beats if b) if float(beat[2])],
        chords=[
            chord for line in lines if line and (chord := read_chord(*line[:3], folder)) is not None
        ],
    )


def read_chord(start: str, end: str, name: str, folder: Path) -> Chord | None:
    """Return a chord such as ``F#:min7/b3``; None for ``N``, none."""
    if name == "N":
        return None
    root, _, kind = name.partition(":")
    kind, _, degree = kind.partition("/")
    if kind not in CHORDS or (degree and degree not in DEGREES):
        raise UnmixError(f"{folder}/chord_midi.txt has an unknown chord {name}")
    pitch = sum(NOTES[sign] for sign in root)
    tones = tuple((pitch + step) % 12 for step in CHORDS[kind])
    return Chord(float(start), float(end), (pitch + DEGREES.get(degree, 0)) % 12, tones)


def read_midi(data: bytes) -> dict[str, list[Note]]:
    """Return the notes of every named track of a MIDI file; the pedal holds them."""
    header, size, _, tracks, division = struct.unpack(">4sIHHH", data[:14])
    if header != b"MThd" or division & 0x8000:
        raise ValueError("no MIDI file with a division of beats")
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
    """Yield the events of a track: ticks from its start, and status with what belongs to it."""
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
    """Return a number of variable length, and where it ends."""
    value = 0
    while True:
        value = value << 7 | data[place] & 0x7F
        place += 1
        if data[place - 1] < 0x80:
            return value, place


def _notes(events: list[tuple[float, bytes]]) -> Iterator[Note]:
    """Yield the notes of timed events."""
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


def varied(song: Song, random: Generator) -> Song:
    """Return a song in another key and at another tempo."""
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


def arrange(song: Song, random: Generator) -> list[Part]:
    """Return what everybody plays: who that is, where they stand, and how evenly they play."""

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
    """Return what a drummer plays, who sets in with the chords or some bars later.

    A groove for some bars, a fill, a cymbal, and sometimes another groove.
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
    """Return every chord, held in the middle."""
    return [
        Note(chord.start, chord.end, 55 + (tone - 55) % 12, 70)
        for chord in song.chords
        for tone in chord.tones
    ]


def strummed(song: Song, random: Generator) -> list[Note]:
    """Return chords as a guitar strums them: in eighths, some left out, up and down."""
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
    """Return the chord at a time, or that which is about to begin."""
    return next((c for c in song.chords if c.start - 0.02 <= time < c.end - 0.02), None)


def _bars(song: Song) -> list[tuple[int, int]]:
    """Return the beats, first and following, of the bars in which there are chords.

    A long bar is taken for several: one of six beats for two of three.
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
    """Return the times of beats and of what is between them, and after the last."""
    after = song.beats[-1] + np.median(np.diff(song.beats)) * np.arange(1, 9)
    times = np.concatenate([song.beats, after])
    return [float(time) for time in np.interp(beats, np.arange(len(times)), times)]


def humanised(notes: Sequence[Note], random: Generator) -> list[Note]:
    """Return notes as somebody plays them: a little off, a little louder or softer."""
    habit = float(random.normal(0, 0.005))
    played = []
    for note in notes:
        late = habit + float(np.clip(random.normal(0, 0.007), -0.02, 0.02))
        velocity = int(np.clip(note.velocity + random.normal(0, 7), 1, 127))
        start = max(0.0, note.start + late)
        played.append(Note(start, max(note.end + late, start + 0.03), note.pitch, velocity))
    return played


def cut(notes: Sequence[Note], seconds: float) -> list[Note]:
    """Return what is played before a time."""
    return [note._replace(end=min(note.end, seconds)) for note in notes if note.start < seconds]


def write_midi(parts: Sequence[Part]) -> bytes:
    """Return a MIDI file in which each part has a track, and a channel where there are enough."""
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
        # What ends goes before what begins at the same time, or it would be cut short.
        events.sort(key=lambda event: (event[0], event[1][0] >> 4 == 9))
        body, before = b"", 0
        for tick, what in [*events, (max(t for t, _ in events) + _tick(2), b"\xff\x2f\x00")]:
            body += _written(tick - before) + what
            before = tick
        chunks.append(b"MTrk" + struct.pack(">I", len(body)) + body)
    return struct.pack(">4sIHHH", b"MThd", 6, 1, len(chunks), 1000) + b"".join(chunks)


def pan(place: float) -> int:
    """Return MIDI's value for a place between left, -1, and right, 1; 64 is the middle."""
    return round(64 + 63 * place)


def _tick(seconds: float) -> int:
    """Return a time in ticks: a beat has 1000 of them and takes half a second."""
    return round(2000 * seconds)


def _written(number: int) -> bytes:
    """Return a number of variable length."""
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))


def play(parts: Sequence[Part], soundfont: Path, scratch: Path, sample_rate: int) -> np.ndarray:
    """Return what parts sound like, ``[2, N]``, without any room."""
    if not any(part.notes for part in parts):
        return np.zeros((2, 0), np.float32)
    midi, sound = scratch / "part.mid", scratch / "part.wav"
    midi.write_bytes(write_midi(parts))
    command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.3", "-T", "wav"]
    command += ["-O", "float", "-r", str(sample_rate), "-F", str(sound), str(soundfont), str(midi)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not sound.is_file():
        raise UnmixError(f"fluidsynth failed: {(done.stderr.strip() or 'no reason given')[-300:]}")
    with open_audio(sound) as reader:
        samples = np.concatenate(list(reader.blocks()), axis=1)
    sound.unlink()
    return samples


def mix(stems: dict[str, np.ndarray], sample_rate: int, random: Generator) -> dict[str, np.ndarray]:
    """Return stems of one length, balanced, in one room, and together as loud as songs are."""
    length = max(samples.shape[1] for samples in stems.values())
    decay, wet = float(random.uniform(0.2, 0.6)), float(random.uniform(-26, -14))
    room = ReverbConfig(decay=(decay, decay), decibels=(wet, wet))
    seed = int(random.integers(2**31))
    mixed = {}
    for stem, samples in stems.items():
        share = _gain(random.uniform(*BALANCE[stem])) / (_level(samples) or 1.0)
        padded = np.pad(samples, ((0, 0), (0, length - samples.shape[1])))
        mixed[stem] = in_room(padded * np.float32(share), room, sample_rate, seed)
    mixture = np.sum(list(mixed.values()), axis=0)
    peak = max(float(np.abs(samples).max()) for samples in (mixture, *mixed.values()))
    gain = np.float32(min(_gain(LOUDNESS) / (_level(mixture) or 1.0), 0.95 / (peak or 1.0)))
    return {stem: samples * gain for stem, samples in mixed.items()}


def in_room(samples: np.ndarray, room: ReverbConfig, sample_rate: int, seed: int) -> np.ndarray:
    """Return samples ``[2, N]`` with their reverberation; a seed and its settings are a room."""
    block, tail = 30 * sample_rate, sample_rate
    heard = np.zeros((2, samples.shape[1] + tail), np.float32)
    for start in range(0, samples.shape[1], block):
        piece = np.pad(samples[:, start : start + block], ((0, 0), (0, tail)))
        chance = Chance(torch.Generator().manual_seed(seed), torch.device("cpu"))
        there = reverberate(torch.from_numpy(piece)[None, None], room, sample_rate, chance)
        heard[:, start : start + piece.shape[1]] += there[0, 0].numpy()
    return heard[:, : samples.shape[1]]


def _level(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) if samples.size else 0.0


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))


if __name__ == "__main__":
    raise SystemExit(main())
