"""Tempo and key of clicks and chords are known; those of a song follow its speed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from smoke import slow_but

from tools.accompaniment import players
from tools.accompaniment.songs import read_song
from tools.accompaniment.sound import find_soundfont, play
from unmix.audio import read_audio, resample
from unmix.data.tempo_key import Key, TempoKey, estimate_key, estimate_tempo, key_of
from unmix.data.tempo_key_cache import estimate_tempo_key
from unmix.data.tracks import StemFile, Track
from unmix.errors import UnmixError

RATE = 11025
KEYS = [Key(tonic=tonic, minor=minor) for minor in (False, True) for tonic in range(12)]
#: Semitones above the tonic: I IV V I, of a major key and of a minor one with its leading note.
CADENCES = {
    False: ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)),
    True: ((0, 3, 7), (5, 8, 12), (7, 11, 14), (0, 3, 7)),
}


def _octaves_apart(tempo: float | None, other: float) -> float:
    """Return the distance of tempi in octaves, with half and double as equal."""
    assert tempo is not None
    away = abs(np.log2(tempo / other)) % 1
    return float(min(away, 1 - away))


def _clicks(tempo: float, seconds: float = 20) -> np.ndarray:
    samples = np.zeros(int(seconds * RATE), np.float32)
    click = np.random.default_rng(0).normal(0, 0.3, 400) * np.exp(-np.arange(400) / 80)
    for start in np.arange(0.3, seconds - 0.1, 60 / tempo):
        samples[int(start * RATE) :][:400] += click.astype(np.float32)
    return samples


def _cadence(key: Key) -> np.ndarray:
    time = np.arange(2 * RATE) / RATE
    chords = []
    for chord in CADENCES[key.minor]:
        pitches = [48 + (key.tonic + step) % 24 for step in chord]
        tones = [2 ** ((pitch - 69) / 12) * 440 * n for pitch in pitches for n in (1, 2, 3)]
        chords.append(sum(np.sin(2 * np.pi * tone * time) * 50 / tone for tone in tones))
    return np.concatenate(chords).astype(np.float32)


@pytest.mark.parametrize("tempo", slow_but([100.0], [63.0, 82.5, 100.0, 121.0, 147.0, 180.0]))
def test_the_tempo_of_clicks_is_told(tempo: float) -> None:
    assert _octaves_apart(estimate_tempo(_clicks(tempo), RATE), tempo) < np.log2(1.01)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.tonic}{'m' * key.minor}")
def test_the_key_of_chords_is_told(key: Key) -> None:
    assert estimate_key(_cadence(key), RATE) == key


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(10 * RATE),
        np.ones(10 * RATE),
        np.full(10 * RATE, np.nan),
        np.full(10 * RATE, np.inf),
        np.random.default_rng(0).normal(0, 0.1, 2 * RATE),
        np.sin(np.arange(10 * RATE) * 2 * np.pi * 15 / RATE),
        np.zeros(0),
    ],
    ids=["silence", "constant", "no numbers", "infinite", "too short", "too deep", "nothing"],
)
def test_what_is_no_music_has_neither(samples: np.ndarray) -> None:
    assert estimate_tempo(samples.astype(np.float32), RATE) is None
    assert estimate_key(samples.astype(np.float32), RATE) is None


def test_noise_and_clicks_have_no_key() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 20 * RATE).astype(np.float32)
    assert estimate_key(noise, RATE) is None
    assert estimate_key(_clicks(120), RATE) is None
    assert key_of(np.ones(12)) is None


def test_signatures_follow_the_circle_of_fifths() -> None:
    for fifths, tonic in enumerate((0, 7, 2, 9, 4, 11, 6, 1, 8, 3, 10, 5)):
        assert Key(tonic=tonic, minor=False).signature == fifths
        assert Key(tonic=(tonic - 3) % 12, minor=True).signature == fifths


def test_what_is_not_known_is_filled_in() -> None:
    key, other = KEYS[3], KEYS[5]
    assert TempoKey(key=key).filled_in(TempoKey(tempo=90, key=other)) == TempoKey(tempo=90, key=key)
    assert TempoKey(tempo=80).filled_in(TempoKey(tempo=90, key=other)) == TempoKey(
        tempo=80, key=other
    )


@pytest.mark.parametrize(
    "name",
    [
        "instrumental/red-eclipse/track-10.opus",
        "instrumental/shattered-pixel-dungeon/halls-boss.opus",
        "instrumental/tuxemon/Jumpshot.opus",
    ],
)
def test_a_piece_that_is_played_faster_is_higher_too(shared: Path, name: str) -> None:
    """By two semitones, which is 12 % faster."""
    samples, rate = read_audio(shared / "data" / name)
    samples = samples.mean(0, keepdims=True)[:, : 40 * rate]
    slow = resample(samples, rate, RATE)[0]
    fast = resample(samples, rate, round(RATE / 2 ** (2 / 12)))[0]
    tempo, key = estimate_tempo(slow, RATE), estimate_key(slow, RATE)
    assert tempo is not None
    assert key is not None
    assert _octaves_apart(estimate_tempo(fast, RATE), tempo * 2 ** (2 / 12)) < np.log2(1.01)
    assert estimate_key(fast, RATE) == Key(tonic=(key.tonic + 2) % 12, minor=key.minor)


@pytest.mark.parametrize(("song", "key"), [("001", 6), ("145", 9), ("541", 3)])
def test_the_tempo_and_key_of_annotated_songs_are_told(
    shared: Path, tmp_path: Path, song: str, key: int
) -> None:
    """As played by FluidSynth; the keys, in fifths above C, are those of the annotations."""
    try:
        soundfont = find_soundfont(None)
    except UnmixError as reason:
        pytest.skip(str(reason))
    read = read_song(shared / "data" / "midi" / "pop909" / song)
    parts = players.arrange(read, np.random.default_rng(0))
    parts = [part._replace(notes=players.cut(part.notes, 60)) for part in parts]
    samples = play([part for part in parts if part.notes], soundfont, tmp_path, RATE)
    soundfile.write(tmp_path / "song.wav", samples.T, RATE)
    music = estimate_tempo_key(Track(song, {"accompaniment": StemFile.open(tmp_path / "song.wav")}))
    beats = read.beats[read.beats < 60]
    assert _octaves_apart(music.tempo, 60 / np.median(np.diff(beats))) < np.log2(1.02)
    assert music.key is not None
    assert music.key.signature == key
