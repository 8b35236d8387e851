"""Matching: partners match in tempo and key if any do; items depend on their index alone."""

import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from unmix.config import validate
from unmix.data import CorpusConfig, MatchConfig, MixingConfig, RandomMixtures, Track, open_corpus
from unmix.data import tempo_key_cache as room
from unmix.data.drawing import Drawing
from unmix.data.matching import Repertoire, Wanted
from unmix.data.tempo_key import Key, TempoKey
from unmix.errors import ConfigError

RATE = 8000
C, A_MINOR, C_MINOR = Key(tonic=0, minor=False), Key(tonic=9, minor=True), Key(tonic=0, minor=True)
G, F_SHARP = Key(tonic=7, minor=False), Key(tonic=6, minor=False)
#: What is heard of tracks, by name.
MUSIC = {
    "a": TempoKey(tempo=100, key=C),
    "b": TempoKey(tempo=103, key=C),
    "c": TempoKey(tempo=51, key=C),
    "d": TempoKey(tempo=196, key=A_MINOR),
    "e": TempoKey(tempo=101, key=F_SHARP),
    "f": TempoKey(tempo=120, key=C),
    "g": TempoKey(tempo=140, key=F_SHARP),
    "long": TempoKey(tempo=100, key=C),
    "voice in c": TempoKey(key=C),
    "voice": TempoKey(),
}


@dataclass(frozen=True)
class Reading:
    """One read of a track for an item."""

    track: Track
    parts: tuple[str, ...]
    speed: float


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Reading]:
    """A list that records all reads."""
    found: list[Reading] = []
    read = Drawing.read

    def spied(
        self: Drawing, corpus: Any, track: Track, parts: Any, random: Any, speed: Any = None
    ) -> Any:
        found.append(Reading(track, tuple(map(str, parts)), speed))
        return read(self, corpus, track, parts, random, speed)

    monkeypatch.setattr(Drawing, "read", spied)
    return found


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNMIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(room, "estimate_tempo_key", lambda track: MUSIC[track.name])
    return tmp_path


def _write(folder: Path, names: Sequence[str], stems: Sequence[str]) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        for stem in stems:
            noise = np.random.default_rng(len(name)).normal(0, 0.1, (RATE, 2))
            noise = np.tile(noise, (6, 1)) if name == "long" else noise
            soundfile.write(folder / name / f"{stem}.wav", noise * (1, 0.5), RATE)


Make = Callable[..., RandomMixtures]


@pytest.fixture
def make(data: Path) -> Make:
    """Return a stream of items from corpora of tracks, given by name and stems."""

    def made(
        corpora: dict[str, Sequence[str]],
        stems: Sequence[str] = ("vocals", "accompaniment"),
        weights: dict[str, dict[str, float]] | None = None,
        **mixing: Any,
    ) -> RandomMixtures:
        for folder, names in corpora.items():
            if not (data / folder).exists():
                _write(data / folder, names, ("vocals",) if folder == "voices" else stems)
        each = weights or {folder: {"vocals": 1, "accompaniment": 1} for folder in corpora}
        return RandomMixtures(
            [open_corpus(CorpusConfig(path=path, **w), data) for path, w in each.items()],
            MixingConfig(coherent=0, without_vocals=0, without_accompaniment=0, **mixing),
            sample_rate=RATE,
            channels=2,
            length=2000,
            seed=5,
            items=1000,
        )

    return made


def _pairs(items: RandomMixtures, readings: list[Reading], count: int = 60) -> Counter[str]:
    """Count the pairs of tracks, as ``vocals>accompaniment``."""
    readings.clear()
    for index in range(count):
        items[index]
    return Counter(
        f"{first.track.name}>{second.track.name}"
        for first, second in zip(readings[::2], readings[1::2], strict=True)
    )


def test_partners_are_near_in_tempo_with_half_and_double(
    make: Make, readings: list[Reading]
) -> None:
    pairs = _pairs(make({"songs": "abcdefg"}, match=MatchConfig(tempo=0.05)), readings, 200)
    alike = "abcde"
    assert {p for p in pairs if p[0] in alike} == {f"{a}>{b}" for a in alike for b in alike} - {
        f"{a}>{a}" for a in alike
    } - {"b>d", "d>b"}  # 103 and 98
    assert {p for p in pairs if p[0] not in alike}  # and those that no other fits are drawn too


@pytest.mark.parametrize(
    ("key", "found"), [("same", {"a>b", "a>c", "a>f"}), ("relative", {"a>b", "a>c", "a>d", "a>f"})]
)
def test_partners_are_of_the_same_key(
    make: Make, readings: list[Reading], key: Any, found: set[str]
) -> None:
    pairs = _pairs(make({"songs": "abcdefg"}, match=MatchConfig(key=key)), readings, 200)
    assert {pair for pair in pairs if pair[0] == "a"} == found
    assert {pair for pair in pairs if pair[0] in "eg"} == {"e>g", "g>e"}


def test_partners_fit_in_both(make: Make, readings: list[Reading]) -> None:
    match = MatchConfig(tempo=0.05, key="same")
    pairs = _pairs(make({"songs": "abcdefg"}, match=match), readings, 200)
    assert {pair for pair in pairs if pair[0] in "abc"} == {
        f"{a}>{b}" for a in "abc" for b in "abc" if a != b
    }


def test_where_none_fits_the_nearest_is_taken(make: Make, readings: list[Reading]) -> None:
    """103 is slightly nearer to 120 than 140 is; 120 is nearest to 140."""
    pairs = _pairs(make({"songs": "abcfg"}, match=MatchConfig(tempo=0.01)), readings, 100)
    assert {pair for pair in pairs if pair[0] in "fg"} == {"f>b", "g>f"}


def test_what_is_unknown_fits_everything(make: Make, readings: list[Reading]) -> None:
    weights = {"voices": {"vocals": 1.0}, "songs": {"accompaniment": 1.0}}
    corpora = {"voices": ["voice", "voice in c"], "songs": "abe"}
    match = MatchConfig(tempo=0.01, key="same")
    pairs = _pairs(make(corpora, weights=weights, match=match), readings)
    assert set(pairs) == {"voice>a", "voice>b", "voice>e", "voice in c>a", "voice in c>b"}


def test_a_track_is_no_partner_of_itself_unless_it_is_alone(
    make: Make, readings: list[Reading]
) -> None:
    """Not even if its folder is used as a corpus of vocals and as one of accompaniments."""
    twice = {"songs": {"vocals": 1.0}, "songs/.": {"accompaniment": 1.0}}
    match = MatchConfig(tempo=0.05)
    assert set(_pairs(make({"songs": "ab"}, weights=twice, match=match), readings)) == {
        "a>b",
        "b>a",
    }
    assert set(_pairs(make({"one": "a"}, match=match), readings, 5)) == {"a>a"}


def test_a_corpus_that_has_partners_is_drawn_by_its_weight(
    make: Make, readings: list[Reading]
) -> None:
    corpora = {"voices": ["voice in c"], "near": "ab", "far": "eg", "too": "f"}
    weights = {"voices": {"vocals": 1.0}, "near": {"accompaniment": 3.0}}
    weights |= {"far": {"accompaniment": 50.0}, "too": {"accompaniment": 1.0}}
    match = MatchConfig(key="same")
    pairs = _pairs(make(corpora, weights=weights, match=match), readings, 200)
    assert set(pairs) == {"voice in c>a", "voice in c>b", "voice in c>f"}
    assert 25 < pairs["voice in c>f"] < 80


def test_long_tracks_are_drawn_as_often_as_they_are_long(
    make: Make, readings: list[Reading]
) -> None:
    corpora = {"voices": ["voice in c"], "songs": ["a", "e", "long"]}
    weights = {"voices": {"vocals": 1.0}, "songs": {"accompaniment": 1.0}}
    match = MatchConfig(key="same")
    items = make(corpora, weights=weights, match=match, by_duration=True)
    pairs = _pairs(items, readings, 140)
    assert set(pairs) == {"voice in c>a", "voice in c>long"}
    assert 6 < pairs["voice in c>a"] < 40  # one in seven


def test_instruments_fit_too_and_drums_in_any_key(make: Make, readings: list[Reading]) -> None:
    """The vocals have no tempo, so the first accompaniment decides it."""
    corpora = {"voices": ["voice in c"], "songs": "abcefg"}
    weights = {"voices": {"vocals": 1.0}, "songs": {"accompaniment": 1.0}}
    match = MatchConfig(tempo=0.05, key="same")
    items = make(corpora, ("drums", "bass", "other"), weights, match=match, remix=1.0)
    drummers, others = set(), set()
    for index in range(100):
        readings.clear()
        items[index]
        _, drums, bass, other = [reading.track.name for reading in readings]
        assert {bass, other} <= set("abc") or bass == other == "f"
        assert drums in "abce" if bass in "abc" else drums == "f"
        drummers.add(drums)
        others.add(other)
    assert drummers == set("abcef")
    assert others == set("abcf")


def test_a_second_accompaniment_fits_the_first_too(make: Make, readings: list[Reading]) -> None:
    """The vocals have no tempo, so the first accompaniment decides that of the second."""
    corpora = {"voices": ["voice"], "songs": "abfg"}
    weights = {"voices": {"vocals": 1.0}, "songs": {"accompaniment": 1.0}}
    match = MatchConfig(tempo=0.05)
    items = make(corpora, weights=weights, match=match, second_accompaniment=1.0, speed=0.1)
    met = set()
    for index in range(60):
        readings.clear()
        items[index]
        met.add("".join(reading.track.name for reading in readings[1:]))
        assert len({reading.speed for reading in readings}) == 1
    assert met == {"aa", "ab", "ba", "bb", "ff", "gg"}


def test_all_of_an_item_are_played_at_one_speed(make: Make, readings: list[Reading]) -> None:
    items = make({"songs": "abc"}, match=MatchConfig(tempo=0.05), speed=0.1)
    _pairs(items, readings)
    speeds = [reading.speed for reading in readings]
    assert speeds[::2] == speeds[1::2]
    assert all(0.9 <= speed <= 1.1 for speed in speeds)
    assert np.std(speeds) > 0.03


def test_an_item_is_that_of_its_index_in_any_process(make: Make, data: Path) -> None:
    """Also with cached tracks, and in a worker."""
    match = MatchConfig(tempo=0.05, key="relative")
    corpora = {"songs": "abcdefg"}
    first = make(corpora, ("vocals", "drums", "bass", "other"), match=match, speed=0.1)
    again = make(corpora, match=match, speed=0.1)
    worker = pickle.loads(pickle.dumps(first))
    for index in (3, 0, 77):
        torch.testing.assert_close(first[index], again[index], rtol=0, atol=0)
        torch.testing.assert_close(first[index], worker[index], rtol=0, atol=0)


def test_nobody_listens_where_nothing_is_matched(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "estimate_tempo_key", lambda *_: pytest.fail("listened"))
    make({"songs": "ab"}, match=MatchConfig())[0]


def test_voices_are_left_alone_where_only_tempo_is_matched(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    estimate_tempo_key = room.estimate_tempo_key
    monkeypatch.setattr(
        room,
        "estimate_tempo_key",
        lambda track: names.append(track.name) or estimate_tempo_key(track),
    )
    weights = {"voices": {"vocals": 1.0}, "songs": {"accompaniment": 1.0}}
    make({"voices": ["voice"], "songs": "ab"}, weights=weights, match=MatchConfig(tempo=0.1))
    assert names == ["a", "b"]


@pytest.mark.parametrize(
    ("config", "other", "distance"),
    [
        (MatchConfig(tempo=0.05), TempoKey(tempo=105), 0),
        (MatchConfig(tempo=0.05), TempoKey(tempo=210), 0),
        (MatchConfig(tempo=0.05), TempoKey(tempo=100 / 1.05 / 4), 0),
        (MatchConfig(tempo=0.0), TempoKey(tempo=200), 0),
        (MatchConfig(tempo=0.0), TempoKey(tempo=100 * 2**0.5), 5),
        (MatchConfig(tempo=0.05), TempoKey(tempo=106), 10 * np.log2(106 / 105)),
        (MatchConfig(key="same"), TempoKey(tempo=106, key=C), 0),
        (MatchConfig(key="same"), TempoKey(key=A_MINOR), 1),
        (MatchConfig(key="relative"), TempoKey(key=A_MINOR), 0),
        (MatchConfig(key="same"), TempoKey(key=G), 1),
        (MatchConfig(key="relative"), TempoKey(key=C_MINOR), 3),
        (MatchConfig(key="same"), TempoKey(key=C_MINOR), 4),
        (MatchConfig(key="relative"), TempoKey(key=F_SHARP), 6),
        (MatchConfig(tempo=0.0, key="same"), TempoKey(tempo=100 * 2**0.5, key=G), 6),
        (MatchConfig(tempo=0.0, key="same"), TempoKey(), 0),
    ],
)
def test_distances(config: MatchConfig, other: TempoKey, distance: float) -> None:
    """From a song of 100 beats per minute in C; distances are symmetric."""
    one, two = Track("one", {}, TempoKey(tempo=100, key=C)), Track("two", {}, other)
    for wanting, wanted in ((one, two), (two, one)):
        asked = Wanted.by(wanting, config)
        assert asked is not None
        own, found = Repertoire([wanting, wanted]).distances(asked)
        assert own == np.inf
        assert found == pytest.approx(distance, abs=1e-9)


@pytest.mark.parametrize("match", [{"tempo": 0.5}, {"tempo": -0.1}, {"key": "near"}, {"beat": 1}])
def test_settings_that_mean_nothing_are_refused(match: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"match\."):
        validate(MixingConfig, {"match": match}, "recipe.toml")


@pytest.mark.parametrize("match", [{}, {"tempo": 0.05}])
def test_as_many_excerpts_are_swapped_as_are_asked_for(make: Make, match: dict[str, Any]) -> None:
    """Nothing else changes; the left channel of all tracks is louder."""
    streams = {
        share: make({"songs": "abc"}, match=MatchConfig(**match), swap_channels=share)
        for share in (0.0, 0.5, 1.0)
    }
    default = make({"songs": "abc"}, match=MatchConfig(**match))
    swapped = 0
    for index in range(60):
        never, half, always = (streams[share][index]["references"] for share in (0.0, 0.5, 1.0))
        torch.testing.assert_close(never, always.flip(1), rtol=0, atol=0)
        torch.testing.assert_close(half, default[index]["references"], rtol=0, atol=0)
        for stem in range(2):
            left, right = never[stem].square().mean(1)
            assert left > right
            swapped += torch.equal(half[stem], always[stem])
    assert 40 < swapped < 80
