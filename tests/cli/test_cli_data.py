"""``unmix data``: listing, packing, verifying, and one-line errors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile

from unmix.cli.data import LayoutName
from unmix.data.folders import FolderFormat

Unmix = Callable[..., Any]
RATE = 8000


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Two songs of three seconds; one has no accompaniment file, one silent vocals."""
    noise = np.random.default_rng(0).uniform(-0.4, 0.4, 3 * RATE)
    for song, stems in (("one", ("vocals", "mixture")), ("two", ("vocals", "accompaniment"))):
        (tmp_path / "songs" / song).mkdir(parents=True)
        for stem in stems:
            soundfile.write(tmp_path / "songs" / song / f"{stem}.wav", noise, RATE)
    soundfile.write(tmp_path / "songs" / "two" / "vocals.wav", 0 * noise, RATE)
    return tmp_path / "songs"


def test_layouts_are_those_of_the_rooms() -> None:
    assert tuple(LayoutName) == get_args(FolderFormat)


@pytest.mark.parametrize("verb", ["", "list", "pack", "verify"])
def test_help_fits_a_terminal(unmix: Unmix, verb: str) -> None:
    outcome = unmix("data", *verb.split(), "--help")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "Exit codes: 0 all done" in outcome.out


def test_list_shows_tracks_stems_and_minutes(unmix: Unmix, songs: Path) -> None:
    outcome = unmix("data", "list", songs)
    assert (outcome.code, outcome.err) == (0, "")
    assert "layout stems" in outcome.out
    assert "vocals mixture (accompaniment)" in outcome.out
    assert "0:03" in outcome.out
    assert "2 tracks, 0 files skipped; minutes: vocals 0.1" in outcome.out


def test_list_names_what_is_left_out(unmix: Unmix, songs: Path) -> None:
    broken = songs / "two" / "accompaniment.wav"
    broken.write_bytes(b"no sound")
    outcome = unmix("data", "list", songs)
    assert outcome.code == 0
    assert "1 files skipped" in outcome.out
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"warning: accompaniment skipped: {broken}")


def test_list_counts_and_names_the_files_that_are_not_used(unmix: Unmix, songs: Path) -> None:
    (songs / "one" / "vocals.wav").rename(songs / "one" / "Vocals.WAV")
    for number in range(12):
        (songs / "two" / f"take {number:02}.wav").touch()
    outcome = unmix("data", "list", songs)
    assert outcome.code == 0
    assert "2 tracks, 12 files skipped; minutes: vocals 0.1" in outcome.out
    (line,) = outcome.err.splitlines()
    assert "12 left out whose names are no stem's" in line
    assert "two/take 00.wav" in line
    assert line.endswith("and 2 more")
    document = json.loads(unmix("data", "list", songs, "--json").out)
    assert len(document["left_out"]) == 12


def test_check_decodes_everything(unmix: Unmix, songs: Path) -> None:
    cut = songs / "one" / "mixture.wav"
    cut.write_bytes(cut.read_bytes()[:20000])
    outcome = unmix("data", "list", songs, "--check")
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 2
    assert f"mixture: {cut} is cut short" in outcome.err
    assert f"vocals: {songs / 'two' / 'vocals.wav'} is silent" in outcome.err


def test_list_as_json(unmix: Unmix, songs: Path) -> None:
    document = json.loads(unmix("data", "list", songs, "--check", "--json").out)
    assert document["format"] == "stems"
    assert document["minutes"] == {"vocals": 0.1, "mixture": 0.05, "accompaniment": 0.05}
    assert document["tracks"][0] == {
        "name": "one",
        "seconds": 3.0,
        "stems": ["vocals", "mixture"],
        "derived": ["accompaniment"],
    }
    assert document["skipped"] == []
    assert [fault["stem"] for fault in document["faults"]] == ["vocals"]


def test_options_choose_tracks(unmix: Unmix, songs: Path) -> None:
    def names(*options: str) -> list[str]:
        document = json.loads(unmix("data", "list", songs, *options, "--json").out)
        return [track["name"] for track in document["tracks"]]

    assert names("--exclude", "two") == ["one"]
    assert names("--include", "two", "--include", "one") == ["one", "two"]
    assert names("--format", "stems", "--include", "two") == ["two"]
    assert len(names("--single", "vocals")) == 4


def test_pack_list_verify(unmix: Unmix, songs: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    outcome = unmix("data", "pack", songs, packed, "--verify")
    assert (outcome.code, outcome.out) == (0, f"{packed}\n")
    assert outcome.err == "Packed: 2 tracks, 0 MB in 1 shards, 0 stems skipped\n"
    source, again = (
        json.loads(unmix("data", "list", folder, "--json").out) for folder in (songs, packed)
    )
    assert again == source | {"format": "packed"}
    assert unmix("data", "verify", packed).out == "shard-00000.i16: ok\n"
    shard = packed / "shard-00000.i16"
    shard.write_bytes(bytes(shard.stat().st_size))
    outcome = unmix("data", "verify", packed)
    assert (outcome.code, outcome.out) == (1, "")
    assert "expected SHA-256" in outcome.errors[0]


def test_pack_warns_of_what_it_leaves_out(unmix: Unmix, songs: Path, tmp_path: Path) -> None:
    cut = songs / "one" / "mixture.wav"
    cut.write_bytes(cut.read_bytes()[:20000])
    outcome = unmix("data", "pack", songs, tmp_path / "strict", "--strict")
    assert (outcome.code, len(outcome.errors)) == (1, 1)
    outcome = unmix("data", "pack", songs, tmp_path / "packed")
    assert outcome.code == 0
    assert f"warning: mixture skipped: {cut} is cut short" in outcome.err
    assert "1 stems skipped" in outcome.err


def test_an_interrupt_says_how_to_go_on(
    unmix: Unmix, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unmix.data.packing._add_stem", stop)
        outcome = unmix("data", "pack", songs, tmp_path / "packed")
    assert outcome.code == 130
    assert outcome.err == "Interrupted: run the same command again to continue.\n"
    assert unmix("data", "pack", songs, tmp_path / "packed").code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["list", "none"], "no such folder"),
        (["list", "."], "no tracks found"),
        (["list", ".", "--format", "dsd100"], "no track has the layout dsd100"),
        (["list", ".", "--format", "dsd100", "--single", "vocals"], "`single` and `format` cannot"),
        (["verify", "."], "cannot be read"),
        (["pack", ".", "out"], "no tracks found"),
    ],
)
def test_an_error_is_one_line(
    unmix: Unmix,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = unmix("data", *arguments)
    assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
    assert sentence in outcome.errors[0]
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_layout_lists_the_choices(unmix: Unmix, tmp_path: Path) -> None:
    outcome = unmix("data", "list", tmp_path, "--format", "medleydb")
    assert outcome.code == 2
    assert "musdb18" in outcome.err
