"""Layouts: known corpora are recognised, ambiguous ones refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.data import STEMS, CorpusConfig, Track, open_corpus, read_folder
from unmix.data.layouts import LAYOUTS
from unmix.data.musdb import VALIDATION_TRACKS
from unmix.errors import UnmixError

RATE = 8000
#: What every synthetic stem holds: its own constant, so that sums and differences are known.
LEVELS = {"vocals": 0.5, "drums": 0.03125, "bass": 0.0625, "other": 0.125}
ACCOMPANIMENT = 0.21875
MIXTURE = 0.71875


def _write(path: Path, *levels: float, rate: int = RATE, seconds: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.tile(np.array(levels, np.float32), (int(seconds * rate), 1))
    soundfile.write(path, samples, rate, "FLOAT" if path.suffix == ".wav" else None)


def _level(track: Track, stem: str) -> float:
    samples = track.read(stem, 100, 1000, RATE, 1)
    assert np.ptp(samples) < 1e-6
    return float(samples[0, 0])


def _musdb18_hq(root: Path) -> None:
    for name in ("train/A - One", "train/Leaf - Summerghost", "test/B - Two"):
        for stem, level in LEVELS.items():
            _write(root / name / f"{stem}.wav", level, level)
        _write(root / name / "mixture.wav", MIXTURE, MIXTURE)


def _ccmixter(root: Path) -> None:
    for name in ("artist_-_one", "artist_-_two"):
        _write(root / name / "source-01.wav", ACCOMPANIMENT, ACCOMPANIMENT)
        _write(root / name / "source-02.wav", 0.5, 0.5)
        _write(root / name / "mix.wav", MIXTURE, MIXTURE)


def _dsd100(root: Path) -> None:
    for split, name in (("Dev", "051 - A - One"), ("Test", "001 - B - Two")):
        _write(root / "Mixtures" / split / name / "mixture.wav", MIXTURE, MIXTURE)
        for stem, level in LEVELS.items():
            _write(root / "Sources" / split / name / f"{stem}.wav", level, level)


def _mir_1k(root: Path) -> None:
    for clip in ("abjones_1_01", "abjones_1_02", "amy_12_03"):
        _write(root / "Wavfile" / f"{clip}.wav", ACCOMPANIMENT, 0.5)
    _write(root / "UndividedWavfile" / "abjones_1.wav", ACCOMPANIMENT, 0.5)


def _ikala(root: Path) -> None:
    for clip in ("10161_chorus", "10161_verse", "21025_verse"):
        _write(root / "Wavfile" / f"{clip}.wav", ACCOMPANIMENT, 0.5)


MAKERS: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "stems": (_musdb18_hq, 3, "train/A - One"),
    "ccmixter": (_ccmixter, 2, "artist_-_one"),
    "dsd100": (_dsd100, 2, "Dev/051 - A - One"),
    "mir-1k": (_mir_1k, 3, "Wavfile/abjones_1_01"),
    "ikala": (_ikala, 3, "Wavfile/10161_chorus"),
}


def test_every_layout_has_a_test() -> None:
    assert set(MAKERS) | {"musdb18"} == set(LAYOUTS)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("layout", MAKERS)
def test_a_layout_is_understood(tmp_path: Path, layout: str, asked: bool) -> None:
    make, count, name = MAKERS[layout]
    make(tmp_path)
    contents = read_folder(tmp_path, STEMS, format=layout if asked else "auto")  # type: ignore[arg-type]
    assert contents.format == layout
    assert (len(contents.tracks), contents.skipped) == (count, ())
    track = next(track for track in contents.tracks if track.name == name)
    assert _level(track, "vocals") == pytest.approx(0.5)
    assert _level(track, "accompaniment") == pytest.approx(ACCOMPANIMENT)
    assert _level(track, "mixture") == pytest.approx(MIXTURE)


def test_the_real_stem_files_are_read_stream_by_stream(shared: Path) -> None:
    contents = read_folder(shared / "data" / "musdb18-7-stems", STEMS)
    assert (contents.format, len(contents.tracks)) == ("musdb18", 3)
    for track in contents.tracks:
        assert track.name.startswith("train/")
        stems = {s: track.read(s, 50_000, 100_000, 44100, 2) for s in track.stems}
        assert set(stems) == {"vocals", "drums", "bass", "other", "mixture"}
        residual = stems["mixture"] - sum(stems[s] for s in ("vocals", "drums", "bass", "other"))
        assert np.square(residual).mean() < 0.05 * np.square(stems["mixture"]).mean()
        accompaniment = track.read("accompaniment", 50_000, 100_000, 44100, 2)
        parts = sum(stems[s] for s in ("drums", "bass", "other"))
        np.testing.assert_allclose(accompaniment, parts, atol=1e-6)


def test_the_real_stem_files_are_those_of_the_decoded_corpus(shared: Path) -> None:
    """Streams have the documented order."""
    data = shared / "data"
    track = read_folder(data / "musdb18-7-stems", STEMS).tracks[-1]
    decoded = next(t for t in read_folder(data / "musdb18-7", STEMS).tracks if t.name == track.name)
    for stem in decoded.stems:
        ours, theirs = (t.read(stem, 44100, 44100, 44100, 2) for t in (track, decoded))
        # What is left is what another encoder made of it.
        assert np.square(ours - theirs).mean() < 0.1 * np.square(theirs).mean(), stem


def test_what_could_be_two_layouts_is_refused(tmp_path: Path) -> None:
    _ccmixter(tmp_path / "ccmixter")
    _musdb18_hq(tmp_path / "musdb")
    with pytest.raises(UnmixError, match=r"stems and ccmixter.*`format`"):
        read_folder(tmp_path, STEMS)
    assert len(read_folder(tmp_path, STEMS, format="ccmixter").tracks) == 2


def test_songs_are_not_guessed_to_be_stems(tmp_path: Path) -> None:
    """A stereo file is a song, unless its name and folder identify a clip."""
    _write(tmp_path / "song_1_01.wav", 0.1, 0.2)
    with pytest.raises(UnmixError, match=r"no other layout matches.*`single`"):
        read_folder(tmp_path, STEMS)
    with pytest.raises(UnmixError, match="no track has the layout dsd100"):
        read_folder(tmp_path, STEMS, format="dsd100")


@pytest.mark.parametrize("stem", ["vocals", "accompaniment", "mixture"])
def test_a_folder_of_one_stem(tmp_path: Path, stem: str) -> None:
    for name in ("a/x.wav", "a/y.flac", "b.wav"):
        _write(tmp_path / name, 0.25)
    contents = read_folder(tmp_path, STEMS, single=stem)
    assert [track.name for track in contents.tracks] == ["a/x.wav", "a/y.flac", "b.wav"]
    assert all(tuple(track.stems) == (stem,) for track in contents.tracks)
    assert all(not track.derived for track in contents.tracks)


def test_patterns_name_tracks_folders_and_lists(tmp_path: Path) -> None:
    _musdb18_hq(tmp_path)

    def names(**patterns: list[str]) -> list[str]:
        return [track.name for track in read_folder(tmp_path, STEMS, **patterns).tracks]  # type: ignore[arg-type]

    assert names(include=["train"]) == ["train/A - One", "train/Leaf - Summerghost"]
    assert names(include=["train"], exclude=["musdb18:validation"]) == ["train/A - One"]
    assert names(include=["musdb18:validation"]) == ["train/Leaf - Summerghost"]
    assert names(exclude=["t*/A - *"]) == ["test/B - Two", "train/Leaf - Summerghost"]
    with pytest.raises(UnmixError, match="no track matches"):
        names(include=["none"])


def test_the_validation_tracks_are_those_of_the_corpus(shared: Path) -> None:
    dev = {path.name for path in (shared / "data" / "musdb18-7" / "dev").iterdir()}
    assert dev == set(VALIDATION_TRACKS)


def test_patterns_name_tracks_where_paths_are_others(tmp_path: Path) -> None:
    _dsd100(tmp_path)
    contents = read_folder(tmp_path, STEMS, exclude=["Test"])
    assert [track.name for track in contents.tracks] == ["Dev/051 - A - One"]


@pytest.mark.parametrize(
    ("files", "stem", "level"),
    [
        (("vocals", "mixture"), "accompaniment", ACCOMPANIMENT),
        (("accompaniment", "mixture"), "vocals", 0.5),
        (("drums", "bass", "other", "mixture"), "vocals", 0.5),
        (("vocals", "drums", "bass", "mixture"), "other", LEVELS["other"]),
        (("accompaniment", "drums", "other"), "bass", LEVELS["bass"]),
        (("vocals", "accompaniment"), "mixture", MIXTURE),
        (("vocals", "drums", "bass", "other"), "mixture", MIXTURE),
    ],
)
def test_a_missing_stem_follows_from_the_others(
    tmp_path: Path, files: tuple[str, ...], stem: str, level: float
) -> None:
    levels = LEVELS | {"accompaniment": ACCOMPANIMENT, "mixture": MIXTURE}
    for name in files:
        _write(tmp_path / "song" / f"{name}.wav", levels[name])
    (track,) = read_folder(tmp_path, STEMS).tracks
    assert stem in track.derived
    assert _level(track, stem) == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize(
    ("files", "stem"),
    [
        (("vocals", "drums", "bass"), "accompaniment"),
        (("vocals", "drums"), "mixture"),
        (("mixture",), "vocals"),
        (("vocals", "drums", "mixture"), "other"),
        (("drums", "bass", "other", "mixture"), "piano"),
    ],
)
def test_what_does_not_follow_is_not_made_up(
    tmp_path: Path, files: tuple[str, ...], stem: str
) -> None:
    for name in files:
        _write(tmp_path / "song" / f"{name}.wav", 0.1)
    (track,) = read_folder(tmp_path, STEMS).tracks
    assert track.terms(stem) == ()


def test_more_stems_belong_to_the_accompaniment(tmp_path: Path) -> None:
    for stem, level in (LEVELS | {"piano": 0.25}).items():
        _write(tmp_path / "song" / f"{stem}.wav", level)
    (track,) = read_folder(tmp_path, STEMS).tracks
    assert _level(track, "accompaniment") == pytest.approx(ACCOMPANIMENT + 0.25)
    assert len(track.terms("accompaniment", without=("piano",))) == 3


def test_a_damaged_file_is_named_and_left_out(tmp_path: Path) -> None:
    _musdb18_hq(tmp_path)
    broken = tmp_path / "train" / "A - One" / "bass.wav"
    broken.write_bytes(b"no sound")
    (tmp_path / "test" / "B - Two" / "vocals.wav").write_bytes(b"")
    corpus = open_corpus(CorpusConfig(path="."), tmp_path)
    assert len(corpus.tracks) == 3
    assert [(it.path, it.stem) for it in corpus.skipped] == [
        (tmp_path / "test" / "B - Two" / "vocals.wav", "vocals"),
        (broken, "bass"),
    ]
    assert str(broken) in corpus.skipped[1].reason
    # Its accompaniment now follows from the mixture.
    track = next(track for track in corpus.tracks if track.name == "train/A - One")
    assert _level(track, "accompaniment") == pytest.approx(ACCOMPANIMENT)
    with pytest.raises(UnmixError, match=r"vocals\.wav is empty"):
        open_corpus(CorpusConfig(path=".", strict=True), tmp_path)


def test_a_mono_file_has_no_stem_in_each_channel(tmp_path: Path) -> None:
    _mir_1k(tmp_path)
    _write(tmp_path / "Wavfile" / "amy_1_01.wav", 0.1)
    contents = read_folder(tmp_path, STEMS)
    assert len(contents.tracks) == 3
    assert {it.stem for it in contents.skipped} == {"vocals", "accompaniment"}
    assert "expected 2, with a stem in each" in contents.skipped[0].reason


def test_nothing_but_damaged_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "vocals.wav").write_bytes(b"no sound")
    with pytest.raises(UnmixError, match="no track can be read"):
        read_folder(tmp_path, STEMS)


def _left_out(root: Path, **options: object) -> dict[str, str]:
    contents = read_folder(root, STEMS, **options)  # type: ignore[arg-type]
    return {str(it.path): it.reason for it in contents.left_out}


@pytest.mark.parametrize("layout", MAKERS)
def test_capitals_make_no_difference(tmp_path: Path, layout: str) -> None:
    make, count, _ = MAKERS[layout]
    make(tmp_path / "lower")
    for path in sorted((tmp_path / "lower").rglob("*.wav")):
        *folders, name = path.relative_to(tmp_path / "lower").parts
        name = name if layout in ("mir-1k", "ikala") else name.title()
        target = tmp_path / "upper" / Path(*folders) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    contents = read_folder(tmp_path / "upper", STEMS)
    assert (contents.format, len(contents.tracks)) == (layout, count)
    assert {"vocals", "accompaniment"} <= {*contents.tracks[0].stems, *contents.tracks[0].derived}


def test_every_file_that_is_not_used_has_its_reason(tmp_path: Path) -> None:
    song = tmp_path / "song"
    for name in ("vocals.wav", "Vocals.wav", "vocals.flac", "Bass.wav", "BASS.wav", "take 2.wav"):
        _write(song / name, 0.1)
    for name in ("notes.txt", "drums.wma", "._vocals.wav", ".DS_Store"):
        (song / name).touch()
    (song / "gone.wav").symlink_to("nowhere")
    (song / "more").symlink_to(tmp_path)
    _write(tmp_path / "other" / "vocals.wav", 0.1)
    found = _left_out(tmp_path, exclude=["other"])
    used = [file.path for t in read_folder(tmp_path, STEMS).tracks for file in t.stems.values()]
    assert len(used) == 2  # vocals of both
    reasons: dict[str, set[str]] = {}
    for name, reason in found.items():
        reasons.setdefault(reason, set()).add(name.removeprefix("song/"))
    assert sorted(map(sorted, reasons.values())) == [
        [".DS_Store", "._vocals.wav"],
        ["BASS.wav", "Bass.wav", "Vocals.wav", "vocals.flac"],
        ["drums.wma", "notes.txt"],
        ["gone.wav", "more"],
        ["other/vocals.wav"],
        ["take 2.wav"],
    ]


def test_all_files_are_used_or_left_out(tmp_path: Path) -> None:
    """Whatever the layout and the patterns: nothing is dropped in silence."""
    _dsd100(tmp_path)
    _write(tmp_path / "Sources" / "Dev" / "051 - A - One" / "theremin.wav", 0.1)
    for options in ({}, {"include": ["Dev/*"]}, {"exclude": ["*bass*"]}, {"single": "vocals"}):
        contents = read_folder(tmp_path, STEMS, **options)  # type: ignore[arg-type]
        used = {file.path for track in contents.tracks for file in track.stems.values()}
        rest = {tmp_path / it.path for it in contents.left_out}
        assert not used & rest
        assert used | rest == set(tmp_path.rglob("*.wav")), options
