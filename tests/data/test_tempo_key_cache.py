"""The cache of tempo and key: each track is estimated once, even if the cache is damaged."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.data import STEMS, CorpusConfig, Track, open_corpus, pack, read_folder
from unmix.data import tempo_key_cache as room
from unmix.data.tempo_key import Key, TempoKey
from unmix.data.tempo_key_cache import estimate_tempo_key, with_tempo_key
from unmix.errors import AudioError

RATE = 8000
SECONDS = 12


def _band(path: Path, tempo: float, up: int, *, voice: float = 0.0) -> None:
    """Write beats and a chord of E minor, transposed; the vocals sing its tonic."""
    path.mkdir(parents=True)
    time = np.arange(SECONDS * RATE) / RATE
    since = (time * tempo / 60 % 1) * 60 / tempo
    beats = np.random.default_rng(0).normal(0, 0.3, len(time)) * np.exp(-since / 0.02)
    chord = sum(np.sin(2 * np.pi * 2 ** ((p + up - 69) / 12) * 440 * time) for p in (52, 55, 59))
    soundfile.write(path / "accompaniment.wav", beats + 0.1 * chord, RATE, "FLOAT")
    soundfile.write(path / "vocals.wav", voice * np.sin(2 * np.pi * 330 * time), RATE, "FLOAT")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNMIX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "music.jsonl"


@pytest.fixture
def tracks(tmp_path: Path) -> tuple[Track, ...]:
    for number, (tempo, up) in enumerate(((96.0, 0), (132.0, 5))):
        _band(tmp_path / "songs" / f"song {number}", tempo, up)
    return open_corpus(CorpusConfig(path="songs"), tmp_path).tracks


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Records the names of estimated tracks; estimates follow from their names."""
    names: list[str] = []

    def made_up(track: Track) -> TempoKey:
        names.append(track.name)
        return TempoKey(tempo=60 + len(track.name), key=Key(tonic=len(names) % 12, minor=True))

    monkeypatch.setattr(room, "estimate_tempo_key", made_up)
    return names


def _tempo_keys(tracks: Sequence[Track], *, voices: bool = True) -> list[TempoKey]:
    return [track.tempo_key for track in with_tempo_key(tracks, voices=voices)]


def test_tempo_and_key_are_those_of_the_accompaniment(
    tracks: tuple[Track, ...], cache: Path
) -> None:
    first, second = _tempo_keys(tracks)
    assert first.tempo == pytest.approx(96, rel=0.01)
    assert second.tempo == pytest.approx(132, rel=0.01)
    assert first.key == Key(tonic=4, minor=True)
    assert second.key == Key(tonic=9, minor=True)


def test_a_mixture_does_where_the_accompaniment_is_not_there(tmp_path: Path) -> None:
    _band(tmp_path / "song", 96.0, 0)
    (tmp_path / "song" / "vocals.wav").unlink()
    (tmp_path / "song" / "accompaniment.wav").rename(tmp_path / "song" / "mixture.wav")
    (track,) = open_corpus(CorpusConfig(path="."), tmp_path).tracks
    assert estimate_tempo_key(track).tempo == pytest.approx(96, rel=0.01)


def test_a_voice_alone_has_a_key_but_no_tempo(tmp_path: Path, cache: Path) -> None:
    time = np.arange(SECONDS * RATE) / RATE
    pitch = 60 + np.array([0, 2, 4, 5, 7, 4, 2, 0])[(time * 2).astype(int) % 8]
    phase = np.cumsum(2 ** ((pitch - 69) / 12) * 440 / RATE)
    (tmp_path / "singers").mkdir()
    soundfile.write(tmp_path / "singers" / "a.wav", 0.3 * np.sin(2 * np.pi * phase), RATE)
    corpus = open_corpus(CorpusConfig(path="singers", single="vocals"), tmp_path)
    assert _tempo_keys(corpus.tracks) == [TempoKey(key=Key(tonic=0, minor=False))]
    assert _tempo_keys(corpus.tracks, voices=False) == [TempoKey()]


def test_only_a_minute_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracks: tuple[Track, ...]
) -> None:
    """The middle one, for tracks of any length."""
    monkeypatch.setattr(room, "_SECONDS", 4)
    asked: list[tuple[int, int]] = []
    read = type(tracks[0].stems["vocals"]).read

    def spied(file: object, start: int, length: int, *more: int) -> np.ndarray:
        asked.append((start, length))
        return read(file, start, length, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(type(tracks[0].stems["vocals"]), "read", spied)
    estimate_tempo_key(tracks[0])
    assert asked == [(11025 * (SECONDS - 4) // 2, 11025 * 4)]


def test_a_second_start_listens_to_nothing(
    tracks: tuple[Track, ...], cache: Path, heard: list[str]
) -> None:
    first = _tempo_keys(tracks)
    assert heard == ["song 0", "song 1"]
    before = cache.read_bytes()
    assert _tempo_keys(tracks) == first
    assert heard == ["song 0", "song 1"]
    assert cache.read_bytes() == before


def test_what_is_remembered_is_what_was_estimated(tracks: tuple[Track, ...], cache: Path) -> None:
    assert _tempo_keys(tracks) == _tempo_keys(tracks)  # to the bit: the items of a run hang on it


def test_a_file_that_has_changed_is_listened_to_again(
    tracks: tuple[Track, ...], cache: Path, heard: list[str], tmp_path: Path
) -> None:
    _tempo_keys(tracks)
    os.utime(tracks[1].stems["vocals"].path, ns=(1, 1))  # not what is listened to
    _tempo_keys(tracks)
    assert len(heard) == 2
    os.utime(tracks[1].stems["accompaniment"].path, ns=(1, 1))
    _tempo_keys(tracks)
    assert heard[2:] == ["song 1"]
    soundfile.write(tracks[0].stems["accompaniment"].path, np.zeros(RATE), RATE)
    _tempo_keys(open_corpus(CorpusConfig(path="songs"), tmp_path).tracks)
    assert heard[3:] == ["song 0"]


@pytest.mark.parametrize("damage", [b"\x00\xff{", b"[]\n{}\n", b'{"source": "x", "music": {"tempo'])
def test_a_damaged_cache_is_rebuilt(
    tracks: tuple[Track, ...], cache: Path, heard: list[str], damage: bytes
) -> None:
    first = _tempo_keys(tracks)
    lines = cache.read_bytes().splitlines(keepends=True)
    cache.write_bytes(lines[0] + damage)
    heard.clear()
    music = _tempo_keys(tracks)
    assert heard == ["song 1"]
    assert music[0] == first[0]
    assert _tempo_keys(tracks) == music
    assert cache.read_bytes().count(b"\n") == 2
    assert damage not in cache.read_bytes()
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def test_what_was_known_before_an_interruption_stays(
    tracks: tuple[Track, ...], cache: Path, monkeypatch: pytest.MonkeyPatch, heard: list[str]
) -> None:
    made_up = room.estimate_tempo_key

    def interrupted(track: Track) -> TempoKey:
        if track.name == "song 1":
            raise KeyboardInterrupt
        return made_up(track)

    monkeypatch.setattr(room, "estimate_tempo_key", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _tempo_keys(tracks)
    monkeypatch.setattr(room, "estimate_tempo_key", made_up)
    _tempo_keys(tracks)
    assert heard == ["song 0", "song 1"]


def test_a_cache_that_cannot_be_written_costs_only_time(
    tracks: tuple[Track, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    heard: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNMIX_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert all(music.tempo for music in _tempo_keys(tracks))
    assert sum("cannot be written" in message for message in caplog.messages) == 1


def test_a_track_that_cannot_be_read_is_unknown_and_not_remembered(
    tracks: tuple[Track, ...], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracks[0].stems["accompaniment"].path.write_bytes(b"RIFF")
    unknown, known = _tempo_keys(tracks)
    assert unknown == TempoKey()
    assert known.tempo
    assert cache.read_bytes().count(b"\n") == 1
    tracks[0].stems["accompaniment"].path.unlink()
    assert _tempo_keys(tracks) == [unknown, known]
    with pytest.raises(AudioError):
        estimate_tempo_key(tracks[0])


def test_tracks_of_one_packed_file_are_told_apart(
    tracks: tuple[Track, ...], tmp_path: Path, cache: Path
) -> None:
    pack(read_folder(tmp_path / "songs", STEMS), tmp_path / "packed")
    packed = open_corpus(CorpusConfig(path="packed"), tmp_path).tracks
    assert len({track.stems["accompaniment"].path for track in packed}) == 1
    tempi = [music.tempo for music in _tempo_keys(packed)]
    assert tempi == pytest.approx([96, 132], rel=0.01)
