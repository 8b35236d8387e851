"""Accompaniments rendered from MIDI: the notes, and the sound if FluidSynth is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tools.accompaniment import players
from tools.accompaniment.midi import Note, Part, pan, read_midi, write_midi
from tools.accompaniment.songs import read_song, varied
from tools.accompaniment.sound import find_soundfont, in_room, mix
from unmix.data import find_tracks
from unmix.errors import UnmixError
from unmix.stems import INSTRUMENTS
from unmix.training.augment.config import ReverbConfig

ROOT = Path(__file__).parents[2]
#: A song of four bars at 120 beats a minute: C, then A minor over C, then none, then G.
CHORDS = "0.0\t2.0\tC:maj\n2.0\t4.0\tA:min/b3\n4.0\t6.0\tN\n6.0\t8.0\tG:sus4(b7)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A song as POP909 lays it out."""
    made = tmp_path / "songs" / "007"
    made.mkdir(parents=True)
    notes = [Note(0.5 * i, 0.5 * i + 0.4, 60 + i, 90) for i in range(16)]
    data = write_midi([Part("other", 0, 0.0, notes)])
    name = b"\x00\xff\x03\x05PIANO"
    size = int.from_bytes(data[18:22]) + len(name)
    (made / "007.mid").write_bytes(data[:18] + size.to_bytes(4) + name + data[22:])
    beats = "".join(f"{0.5 * beat} {beat % 2} {float(beat % 4 == 0)}\n" for beat in range(16))
    (made / "beat_midi.txt").write_text(beats)
    (made / "chord_midi.txt").write_text(CHORDS)
    return made


def test_a_song_is_read(folder: Path) -> None:
    song = read_song(folder)
    assert [note.pitch for note in song.tracks["PIANO"]] == list(range(60, 76))
    assert song.tracks["PIANO"][3] == Note(1.5, pytest.approx(1.9), 63, 90)
    assert song.bars == [0, 4, 8, 12]
    first, second, last = song.chords
    assert (first.bass, first.tones) == (0, (0, 4, 7))
    assert (second.bass, second.tones) == (0, (9, 0, 4))
    assert (last.start, last.end, last.tones) == (6.0, 8.0, (7, 0, 2, 5))


def test_midi_with_tempi_running_status_and_pedal_is_read() -> None:
    tempi = b"\x00\xff\x51\x03\x07\xa1\x20" + b"\x83\x60\xff\x51\x03\x0f\x42\x40"  # 0.5 s, 1 s
    notes = (
        b"\x00\x90\x3c\x40\x83\x60\x3c\x00"  # a beat of C, ended by a velocity of 0
        b"\x00\xb0\x40\x7f\x00\x90\x3e\x40\x60\x80\x3e\x00\x83\x60\xb0\x40\x00"  # D, held
    )
    data = b"MThd" + bytes((0, 0, 0, 6, 0, 1, 0, 2, 1, 0xE0))
    for body in (tempi, b"\x00\xff\x03\x01X" + notes):
        body += b"\x00\xff\x2f\x00"
        data += b"MTrk" + len(body).to_bytes(4) + body
    assert read_midi(data)["X"] == [
        Note(0.0, 0.5, 60, 64),
        Note(0.5, pytest.approx(0.5 + 0.2 + 1.0), 62, 64),
    ]


@pytest.mark.parametrize("data", [b"", b"RIFF" + bytes(20), b"MThd" + bytes(10), b"MThd\0\0\0\6"])
def test_what_is_no_midi_is_refused(folder: Path, data: bytes) -> None:
    (folder / "007.mid").write_bytes(data)
    with pytest.raises(UnmixError, match=r"007\.mid: not a valid MIDI file"):
        read_song(folder)


def test_an_unknown_chord_is_named(folder: Path) -> None:
    (folder / "chord_midi.txt").write_text("0 2 C:odd\n")
    with pytest.raises(UnmixError, match="unknown chord C:odd"):
        read_song(folder)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("chord_midi.txt", "0 2 H:maj\n"),
        ("chord_midi.txt", "zero 2 C:maj\n"),
        ("chord_midi.txt", "0 2\n"),
        ("beat_midi.txt", "0.0 1.0\n"),
        ("beat_midi.txt", "now 1.0 1.0\n"),
    ],
)
def test_damaged_beats_and_chords_are_said_in_a_sentence(
    folder: Path, file: str, text: str
) -> None:
    (folder / file).write_text(text)
    with pytest.raises(UnmixError, match=folder.name):
        read_song(folder)


def test_the_same_seed_makes_the_same_players(folder: Path) -> None:
    song = read_song(folder)
    first, again, other = (players.arrange(song, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {part.stem for part in first} == set(INSTRUMENTS)
    assert all(-1 <= part.place <= 1 for part in first)


@pytest.mark.parametrize("seed", range(20))
def test_drums_and_bass_keep_to_the_bars_and_chords(folder: Path, seed: int) -> None:
    song = read_song(folder)
    for note in players.bass(song, np.random.default_rng(seed)):
        chord = players.chord_at(song, note.start)
        assert chord is not None
        assert note.end <= chord.end
        assert (note.pitch - chord.bass) % 12 in (0, 7)
        assert 26 <= note.pitch <= 54
        assert note.start % 0.25 == pytest.approx(0)
    drums = players.drums(song, np.random.default_rng(seed))
    assert all(0 <= note.start < 8 for note in drums)
    assert all(note.start % 0.125 == pytest.approx(0) for note in drums)
    for note in players.pad(song):
        assert note.pitch % 12 in players.chord_at(song, note.start).tones
    for note in players.strummed(song, np.random.default_rng(seed)):
        assert note.pitch % 12 in players.chord_at(song, note.start).tones
        assert note.end > note.start


def test_a_grooves_bar_is_as_long_as_the_songs(folder: Path) -> None:
    """In six beats, two bars of three; in three, one."""
    song = read_song(folder)
    for bars, found in (([0, 6, 12], [(0, 3), (3, 6), (6, 9), (9, 12), (12, 16)]), ([0], 4)):
        made = players._bars(song._replace(bars=bars))
        assert made == found if isinstance(found, list) else len(made) == found


def test_people_play_nearly_what_is_written() -> None:
    notes = [Note(0.1 * i, 0.1 * i + 0.09, 60, 80) for i in range(500)]
    played = players.humanised(notes, np.random.default_rng(0))
    late = np.array([p.start - n.start for p, n in zip(played, notes, strict=True)])
    assert 0.003 < late.std() < 0.012
    assert np.abs(late).max() < 0.05
    assert all(1 <= note.velocity <= 127 and note.end > note.start >= 0 for note in played)


def test_another_version_is_in_another_key_and_tempo(folder: Path) -> None:
    song = read_song(folder)
    other = varied(song, np.random.default_rng(0))
    before, after = song.tracks["PIANO"], other.tracks["PIANO"]
    (up,) = {b.pitch - a.pitch for a, b in zip(before, after, strict=True)}
    assert [(c.bass + up) % 12 for c in song.chords] == [c.bass for c in other.chords]
    slower = other.beats[-1] / song.beats[-1]
    assert 0.9 <= slower <= 1.12
    assert other.chords[-1].end == pytest.approx(song.chords[-1].end * slower)


def test_written_midi_reads_back() -> None:
    notes = [
        Note(0.0, 0.25, 40, 90),
        Note(0.25, 3.5, 40, 91),
        Note(3.5, 99.0, 41, 1),
    ]
    assert read_midi(write_midi([Part("bass", 33, 0.2, notes)]))[""] == notes
    assert [pan(place) for place in (-1, 0, 1)] == [1, 64, 127]


def test_what_is_missing_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UnmixError, match="needs the program fluidsynth; on Debian"):
        find_soundfont(None)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(UnmixError, match=r"no SoundFont at .*none\.sf2; on Debian: apt-get"):
        find_soundfont(tmp_path / "none.sf2")


def test_stems_are_mixed_as_loud_as_songs_and_fit_below_full_scale() -> None:
    random = np.random.default_rng(3)
    stems = {
        stem: random.normal(0, 0.01, (2, 30000 - 1000 * i)).astype(np.float32)
        for i, stem in enumerate(INSTRUMENTS)
    }
    mixed = mix(stems, 8000, random)
    assert {samples.shape for samples in mixed.values()} == {(2, 30000)}
    mixture = sum(mixed.values())
    assert 20 * np.log10(np.sqrt(np.mean(mixture**2))) == pytest.approx(-16, abs=0.1)
    levels = [10 * np.log10(np.mean(samples**2)) for samples in mixed.values()]
    assert max(levels) - min(levels) < 9.5
    silent = mix({stem: np.zeros((2, 10), np.float32) for stem in INSTRUMENTS}, 8000, random)
    assert not any(samples.any() for samples in silent.values())


def test_a_room_has_no_seams_where_it_is_computed_in_blocks() -> None:
    """Two clicks, more than a block apart, are answered alike, across a seam too."""
    samples = np.zeros((2, 70 * 100), np.float32)
    samples[:, [100, 2990]] = 1
    room = ReverbConfig(decay=(0.5, 0.5), decibels=(-6, -6))
    heard = in_room(samples, room, 100, seed=1)
    np.testing.assert_allclose(heard[:, 2990:3090], heard[:, 100:200], atol=1e-6)
    assert np.abs(heard[:, 3000:3050]).max() > 0.01


@pytest.mark.slow
def test_a_song_is_rendered_for_the_trainer_to_read(folder: Path, tmp_path: Path) -> None:
    try:
        find_soundfont(None)
    except UnmixError as reason:
        pytest.skip(str(reason))
    (folder.parent / "broken").mkdir()

    def render(out: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tools.accompaniment", folder.parent, tmp_path / out]
        command += ["--workers", "1", *more]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    done = render("out", "--versions", "2", "--sample-rate", "16000")
    assert done.returncode == 1
    assert "broken.mid: no such file" in done.stdout
    assert "2 of 4 songs are ready" in done.stdout
    tracks = find_tracks(tmp_path / "out", INSTRUMENTS)
    assert [track.name for track in tracks] == ["007", "007-1"]
    assert all(track.accompaniment == INSTRUMENTS for track in tracks)
    for track in tracks:
        for stem, file in track.stems.items():
            samples = file.read(0, file.length, 16000, 2)
            # Sound fonts differ in how long the last notes ring.
            assert 7 * 16000 < samples.shape[1] < 30 * 16000
            assert np.abs(samples).max() > 0.01, stem
    render("again", "--sample-rate", "16000")
    for stem in INSTRUMENTS:
        first, again = (tmp_path / out / "007" / f"{stem}.flac" for out in ("out", "again"))
        assert first.read_bytes() == again.read_bytes()
    assert not list((tmp_path / "out").glob(".*"))
