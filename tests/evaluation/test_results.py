"""The folder of a report: what is written comes back, and what is not a report is refused."""

import csv
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tools.release.splits import Split, scores_of
from unmix.cli._scores import score_table
from unmix.errors import UnmixError
from unmix.evaluation import Report, TrackScore, load_report
from unmix.evaluation.measures import METRICS
from unmix.evaluation.report.folder import excerpt_folder, load_track, make_folder, save_track
from unmix.evaluation.report.results import report_as_dict, save_comparison, save_report

NAN, INF = math.nan, math.inf
FRAMES = {
    "SDR": (1.5, NAN, INF, -INF),
    "ISR": (0.1 + 0.2, 1e-9, -0.0, 3.0),
    "SIR": (INF, INF, INF, INF),
    "SAR": (NAN, NAN, NAN, NAN),
}
VALUES = {"bss_sdr": INF, "sdr": -INF, "si_sdr": NAN, "log_l1": 1 / 3, "nsdr": -12.345678}


def _score(track: str = "song", stem: str = "vocals", **changes: object) -> TrackScore:
    made = TrackScore("m", track, stem, 7.0 / 3, VALUES, FRAMES)
    return replace(made, **changes)  # type: ignore[arg-type]


def _report(*tracks: str, frames: bool = True, **settings: object) -> Report:
    scores = [
        _score(track, stem, frames=FRAMES if frames else {})
        for track in tracks
        for stem in ("vocals", "accompaniment")
    ]
    return Report("m", "d", tuple(scores), settings)


def _files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_scores_come_back_to_the_bit(tmp_path: Path) -> None:
    """NaN is not equal to itself, but has one text; so has every other number."""
    report = _report("song", window=1.0, hop=0.5, stems=["vocals", "accompaniment"])
    save_report(tmp_path, report)
    assert repr(load_report(tmp_path)) == repr(report)
    save_track(tmp_path, "print", report.scores)
    held = load_track(tmp_path, "print", "m", "song", stems=report.stems)
    assert repr(held) == repr(list(report.scores))


def test_infinite_values_are_told_apart_from_those_that_are_not_defined(tmp_path: Path) -> None:
    save_report(tmp_path, _report("song"))
    plain = json.loads((tmp_path / "scores.json").read_text(), parse_constant=pytest.fail)
    values = plain["scores"][0]["values"]
    assert [values[name] for name in ("bss_sdr", "sdr", "si_sdr")] == ["inf", "-inf", None]
    assert plain["scores"][0]["frames"]["SDR"] == [1.5, None, "inf", "-inf"]
    with (tmp_path / "scores.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert [row[name] for name in ("bss_sdr", "sdr", "si_sdr")] == ["inf", "-inf", ""]
    museval = json.loads((tmp_path / "museval/test/song.json").read_text())
    frames = museval["targets"][0]["frames"]
    assert [frame["metrics"]["SDR"] for frame in frames] == [1.5, None, None, None]


def test_a_whole_track_is_one_frame_of_its_length() -> None:
    one = dict.fromkeys(FRAMES, (1.0,))
    report = Report("m", "d", (_score(frames=one),), {"window": None, "hop": None})
    (frame,) = report_as_dict(report)["tracks"]["song"]["targets"][0]["frames"]
    assert (frame["time"], frame["duration"]) == (0, 7.0 / 3)


def test_museval_finds_this_report_and_nothing_of_another(tmp_path: Path) -> None:
    test = tmp_path / "museval" / "test"
    save_report(tmp_path, _report("a", "test/b", "c"))
    assert _files(test) == ["a.json", "c.json", "test/b.json"]
    (test / "notes.txt").write_text("mine")
    (tmp_path / "museval" / "train").mkdir()
    (tmp_path / "museval" / "train" / "a.json").write_text("{}")
    save_report(tmp_path, _report("c"))
    assert _files(tmp_path / "museval") == ["test/c.json", "test/notes.txt", "train/a.json"]
    save_report(tmp_path, _report("c", frames=False))
    assert _files(tmp_path / "museval") == ["test/notes.txt", "train/a.json"]


def test_without_frames_there_is_no_folder_for_museval(tmp_path: Path) -> None:
    save_report(tmp_path, _report("a", frames=False))
    assert _files(tmp_path) == ["scores.csv", "scores.json"]
    assert not (tmp_path / "museval").exists()


@pytest.mark.parametrize(
    "names",
    [
        ("a?", "a*", "a_"),
        ("a\\b", "a/b"),
        ("../a", "_/a"),
        ("a/", "a/_"),
        (".a", "a", "a."),
        ("x" * 250, "x" * 251),
        ("ö" * 120 + "/a", "ö" * 121 + "/a"),
        ("\udcff", "\udcfe", "_"),
    ],
)
def test_every_name_has_a_file_of_its_own(tmp_path: Path, names: tuple[str, ...]) -> None:
    report = _report(*names)
    for name in names:
        scores = [score for score in report.scores if score.track == name]
        save_track(tmp_path, "print", scores)
    for name in names:
        held = load_track(tmp_path, "print", "m", name, stems=report.stems)
        assert held is not None
        assert {score.track for score in held} == {name}
    save_report(tmp_path, report)
    assert repr(load_report(tmp_path)) == repr(report)
    assert len(_files(tmp_path / "museval" / "test")) == len(names)
    places = {excerpt_folder(tmp_path, name) for name in names}
    assert len(places) == len(names)
    assert all(place.resolve().is_relative_to(tmp_path.resolve()) for place in places)


def test_systems_of_one_safe_name_do_not_share_files(tmp_path: Path) -> None:
    for system in ("m/1", "m_1"):
        save_track(tmp_path, "print", [_score(system=system)])
    for system in ("m/1", "m_1"):
        held = load_track(tmp_path, "print", system, "song", stems=["vocals"])
        assert held is not None
        assert held[0].system == system


def test_usual_names_stay_as_they_are(tmp_path: Path) -> None:
    save_report(tmp_path, _report("test/Motörhead - Ace of Spades (live)"))
    name = "test/Motörhead - Ace of Spades (live).json"
    assert _files(tmp_path / "museval" / "test") == [name]


def test_two_runs_at_once_leave_one_whole_report(tmp_path: Path) -> None:
    reports = [_report(*(f"song {n}" for n in range(10)), run=run) for run in range(4)]

    def write(report: Report) -> None:
        for _ in range(5):
            save_report(tmp_path, report)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, reports))
    assert repr(load_report(tmp_path)) in map(repr, reports)
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("name", ["scores.json", "scores.csv", "museval"])
def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, name: str
) -> None:
    taken = tmp_path / name
    if name == "museval":
        taken.touch()  # where a folder has to be
    else:
        (taken / "full").mkdir(parents=True)
    with pytest.raises(UnmixError, match=name) as raised:
        save_report(tmp_path, _report("a"))
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.rglob(".*"))


def test_a_folder_is_tried_before_the_work(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert [*(tmp_path / "a" / "b").iterdir()] == []
    (tmp_path / "file").touch()
    with pytest.raises(UnmixError, match="file: cannot be made: File exists"):
        make_folder(tmp_path / "file")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="only Linux has such a folder")
def test_a_folder_that_takes_no_file_is_refused() -> None:
    """Not even the superuser can write there."""
    with pytest.raises(UnmixError, match="/proc/self: cannot be written"):
        make_folder(Path("/proc/self"))


_ROW = {"system": "m", "track": "a", "stem": "vocals", "seconds": 1.0, "values": {}, "frames": {}}
_HEAD = {"system": "m", "dataset": "d", "settings": {}, "fingerprint": "print"}


@pytest.mark.parametrize(
    "held",
    [
        [],
        "text",
        None,
        {},
        _HEAD | {"scores": []},
        _HEAD | {"scores": None},
        _HEAD | {"scores": [[]]},
        _HEAD | {"scores": {"a": 1}},
        _HEAD | {"scores": [_ROW | {"values": []}]},
        _HEAD | {"scores": [_ROW | {"values": {"sdr": "many"}}]},
        _HEAD | {"scores": [_ROW | {"values": {"sdr": True}}]},
        _HEAD | {"scores": [_ROW | {"values": {"sdr": [1.0]}}]},
        _HEAD | {"scores": [_ROW | {"seconds": None}]},
        _HEAD | {"scores": [_ROW | {"track": 5}]},
        _HEAD | {"scores": [_ROW | {"frames": {"SDR": [1.0]}}]},
        _HEAD | {"scores": [_ROW | {"frames": {n: [1.0] * len(n) for n in ("SDR", "A")}}]},
    ],
)
def test_what_has_another_shape_is_no_report(tmp_path: Path, held: object) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(held))
    with pytest.raises(UnmixError, match=r"scores.json: (not a report of|.* has no scores)"):
        load_report(tmp_path)
    path = tmp_path / "tracks" / "m" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(held))
    assert load_track(tmp_path, "print", "m", "a", stems=["vocals"]) is None


@pytest.mark.parametrize("changes", [{"system": 5}, {"dataset": None}, {"settings": []}])
def test_what_is_about_nothing_is_no_report(tmp_path: Path, changes: dict[str, object]) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(_HEAD | {"scores": [_ROW]} | changes))
    with pytest.raises(UnmixError, match="not a report of unmix, or damaged"):
        load_report(tmp_path)


def test_kept_scores_of_something_else_are_made_again(tmp_path: Path) -> None:
    save_track(tmp_path, "print", [_score(stem="vocals"), _score(stem="drums")])
    stems = ["vocals", "drums"]
    assert load_track(tmp_path, "print", "m", "song", stems=stems) is not None
    assert load_track(tmp_path, "other", "m", "song", stems=stems) is None
    assert load_track(tmp_path, "print", "m", "song", stems=["vocals"]) is None
    assert load_track(tmp_path, "print", "m", "song", stems=["drums", "vocals"]) is None
    assert load_track(tmp_path, "print", "m", "songs", stems=stems) is None


def test_a_comparison_is_kept_beside_the_reports(tmp_path: Path) -> None:
    save_comparison(tmp_path / "new", [{"stem": "vocals", "first": None}])
    held = json.loads((tmp_path / "new" / "comparison.json").read_text())
    assert held == [{"stem": "vocals", "first": None}]


def _printed(report: Report, width: int) -> str:
    console = Console(width=width, highlight=False, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(score_table(report, width))
    return capture.get()


USUAL = [name for name in METRICS if METRICS[name].group in ("bss", "sdr", "si_sdr")]
SINGING = [name for name in METRICS if METRICS[name].group in ("singing", "sdr", "si_sdr")]


def _undefined(tracks: int, undefined: int, metrics: list[str] = USUAL) -> Report:
    """Make a report in which the first tracks have no value."""
    scores = [
        TrackScore(system, f"track {n}", "accompaniment", 6.0, values)
        for system in ("m", "repet-sim")
        for n in range(tracks)
        for values in [dict.fromkeys(metrics, NAN if n < undefined else -12.34)]
    ]
    return Report("m", "d", tuple(scores))


@pytest.mark.parametrize("metrics", [USUAL, SINGING, ["sdr"]])
@pytest.mark.parametrize("width", [80, 200])
def test_the_table_tells_how_many_tracks_count(width: int, metrics: list[str]) -> None:
    text = _printed(_undefined(85, 5, metrics), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert text.count("80 of") == 2 * len(metrics)
    intervals = width == 200 or len(metrics) == 1
    assert text.count("85") == 2 * len(metrics) + 1, "and in the title"
    assert ("to -12.3" in text) is intervals
    assert "of" not in _printed(_undefined(85, 0, metrics), width)


def test_where_no_track_counts_that_is_said() -> None:
    assert "0 of 3" in _printed(_undefined(3, 3), 200)


@pytest.mark.parametrize(("tracks", "words"), [(1, "on d: 1 track, 0.1"), (2, "2 tracks, 0.2")])
def test_one_track_is_one_track(tracks: int, words: str) -> None:
    assert words in _printed(_undefined(tracks, 0), 80)


def test_a_release_of_one_track_has_no_interval() -> None:
    values, split = {"bss_sdr": 1.0, "sdr": 2.0}, Split("d", "test", "d")
    for score in scores_of({split: Report("m", "d", (_score(values=values),))}):
        assert (score.low, score.high) == (None, None)
    two = (_score("a", values=values), _score("b", values=values))
    for score in scores_of({split: Report("m", "d", two)}):
        assert score.low == score.high == score.value
