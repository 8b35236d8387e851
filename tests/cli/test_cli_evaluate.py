"""``evaluate``: tables, JSON, reports, comparisons, and sentences for what cannot be scored."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 8000
Unmix = Callable[..., Any]


def _write_tracks(root: Path, gain: float = 1.0, tracks: int = 2) -> Path:
    """Write tracks of noise; with a gain, those of a system that estimates at that level."""
    random = np.random.default_rng(0)
    for number in range(tracks):
        folder = root / f"song {number}"
        folder.mkdir(parents=True)
        for stem in ("vocals", "accompaniment"):
            samples = gain * 0.1 * random.standard_normal(round(1.5 * RATE))
            soundfile.write(folder / f"{stem}.wav", samples, RATE, "FLOAT")
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return _write_tracks(tmp_path / "data")


def test_scores_are_a_table_or_json_and_nothing_else(unmix: Unmix, data: Path) -> None:
    plain = unmix("evaluate", "--data", data, "--model", "mixture")
    assert (plain.code, plain.err) == (0, "")
    assert "mixture on data: 2 tracks" in plain.out
    assert "…" not in plain.out, "the table fits 80 columns"
    document = unmix("evaluate", "--data", data, "--model", "mixture", "--json")
    assert (document.code, document.err) == (0, "")
    found = json.loads(document.out)
    assert found["system"] == "mixture"
    assert found["aggregates"]["mixture"]["vocals"]["sdr"]["mean"]["tracks"] == 2


def test_all_metrics_fit_a_terminal_or_go_without_intervals(
    unmix: Unmix, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("evaluate", "--data", data, "--model", "mixture", "--metrics", "sdr,si_sdr")
    assert " to " in unmix(*options).out
    monkeypatch.setenv("COLUMNS", "40")
    assert " to " not in unmix(*options).out


def test_estimates_of_another_system(unmix: Unmix, data: Path, tmp_path: Path) -> None:
    found = _write_tracks(tmp_path / "demucs", gain=0.9)
    outcome = unmix(
        "evaluate", "--estimates", found, "--references", data, "--metrics", "sdr", "--json"
    )
    assert outcome.code == 0, outcome.err
    scores = json.loads(outcome.out)
    assert scores["system"] == "demucs"
    value = scores["aggregates"]["demucs"]["vocals"]["sdr"]["mean"]["value"]
    assert value == pytest.approx(20, abs=1e-4)


@pytest.mark.slow
def test_a_report_goes_on_and_is_compared(unmix: Unmix, data: Path, tmp_path: Path) -> None:
    options = ("--metrics", "sdr", "--baselines", "none", "--examples", "1")
    for name, gain in (("first", 0.95), ("second", 0.9)):
        found = _write_tracks(tmp_path / name, gain)
        for _ in range(2):
            outcome = unmix(
                "evaluate", "--estimates", found, "--references", data, *options,
                "--out", tmp_path / f"report {name}",
            )  # fmt: skip
            assert outcome.code == 0, outcome.err
            assert outcome.err == f"Wrote {tmp_path / f'report {name}' / 'index.html'}\n"
    reports = (tmp_path / "report first", tmp_path / "report second")
    table = unmix("evaluate", "--compare", *reports)
    assert table.code == 0, table.err
    assert "first (A) and second (B)" in table.out
    rows = json.loads(unmix("evaluate", "--compare", *reports, "--json").out)
    assert [row["stem"] for row in rows] == ["vocals", "accompaniment"]
    for row in rows:
        assert row["paired"]["difference"]["value"] == pytest.approx(6.0206, abs=1e-3)
        assert row["paired"]["better"] == 2


def test_models_are_compared_on_data(unmix: Unmix, data: Path) -> None:
    rows = json.loads(
        unmix(
            "evaluate", "--compare", "irm", "mixture", "--data", data, "--metrics", "sdr", "--json"
        ).out
    )
    assert all(row["first"] > row["second"] for row in rows)


def test_compared_models_leave_their_reports(unmix: Unmix, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = unmix(
        "evaluate", "--compare", "irm", "mixture", "--data", data, "--metrics", "sdr",
        "--baselines", "none", "--examples", "0", "--out", out,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert (out / "A" / "index.html").is_file()
    assert (out / "B" / "scores.json").is_file()
    rows = json.loads((out / "comparison.json").read_text())
    assert {row["stem"] for row in rows} == {"vocals", "accompaniment"}


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--window", "0.5", "--hop", "0.25"], {"window": 0.5, "hop": 0.25}),
        (["--window", "inf"], {"window": None}),
        (["--framewise"], {"framewise": True}),
        pytest.param(["--official"], {"official": True}, marks=pytest.mark.slow),
        (["--stems", "vocals"], {"stems": ["vocals", "accompaniment"]}),
    ],
)
def test_options_reach_the_scores(
    unmix: Unmix, data: Path, options: list[str], settings: dict[str, object]
) -> None:
    plain = ("evaluate", "--data", data, "--model", "mixture", "--metrics", "bss", "--json")
    outcome = unmix(*plain, *options)
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert {name: found["settings"][name] for name in settings} == settings
    usual = json.loads(unmix(*plain).out)
    assert found["settings"] != usual["settings"] or found["scores"] != usual["scores"]
    counts = {len(row["frames"]["SDR"]) for row in found["scores"]}
    assert counts == {5 if "0.25" in options else 1}


def test_quality_is_the_models(unmix: Unmix, data: Path) -> None:
    outcome = unmix(
        "evaluate", "--data", data, "--quality", "fast", "--metrics", "sdr",
        "--include", "*0", "--baselines", "none", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["settings"]["system"].startswith("quality fast, on ")


def test_a_system_has_the_name_that_it_is_given(unmix: Unmix, data: Path) -> None:
    outcome = unmix(
        "evaluate", "--estimates", data, "--references", data, "--name", "perfect",
        "--split", ".", "--metrics", "sdr", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["system"] == "perfect"


def test_references_without_an_upper_band_are_said(unmix: Unmix, tmp_path: Path) -> None:
    """As from a lossy file or a lower rate: figures of filters are then rounding errors."""
    random = np.random.default_rng(0)
    for stem in ("vocals", "accompaniment"):
        spectrum = np.fft.rfft(0.1 * random.standard_normal(2 * RATE))
        spectrum[len(spectrum) // 2 :] = 0
        path = tmp_path / "data" / "song" / f"{stem}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.fft.irfft(spectrum), RATE, "FLOAT")
    options = ("evaluate", "--data", tmp_path / "data", "--model", "mixture")
    outcome = unmix(*options)
    assert outcome.code == 0
    assert "warning: 1 of 1 tracks have references without high frequencies" in outcome.err
    for path in (tmp_path / "data" / "song").iterdir():
        samples, _ = soundfile.read(path)
        soundfile.write(path, samples, RATE, "PCM_16")
    assert unmix(*options).err == ""


def test_tracks_are_chosen(unmix: Unmix, data: Path) -> None:
    outcome = unmix("evaluate", "--data", data, "--model", "mixture", "--exclude", "*0", "--json")
    assert list(json.loads(outcome.out)["tracks"]) == ["song 1"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--estimates", "there"],
        ["--references", "there"],
        ["--data", "there", "--estimates", "a", "--references", "b"],
        ["--estimates", "a", "--references", "b", "--model", "unet"],
        ["--compare", "a", "b", "--estimates", "c", "--references", "d"],
        ["--compare", "a", "b", "--out", "c"],
    ],
)
def test_what_does_not_fit_together_is_wrong_usage(unmix: Unmix, options: list[str]) -> None:
    outcome = unmix("evaluate", *options)
    assert outcome.code == 2
    assert any(word in outcome.err for word in ("needs", "give either", "takes no", "add --data"))
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--data", "musdb:nowhere"], "nowhere: no such folder of tracks"),
        (["--data", "mushdb:nowhere"], "unknown data set 'mushdb'"),
        (["--data", "DATA", "--metrics", "fad"], "unknown metric 'fad'; choose from"),
        (["--data", "DATA", "--baselines", "idea"], "unknown baseline 'idea'; choose from"),
        (["--data", "DATA", "--stems", "piano"], "some tracks lack piano"),
        (["--data", "DATA", "--window", "0"], "must be above 0 seconds, got 0.0"),
        (["--data", "DATA", "--window", "0.00001"], "shorter than a sample at 8000 Hz"),
        (["--data", "DATA", "--out", "/proc/there"], "/proc/there"),
        (["--data", "DATA", "--include", "x"], "none of the 2 tracks is selected"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(
    unmix: Unmix, data: Path, options: list[str], sentence: str
) -> None:
    given = [str(data) if option == "DATA" else option for option in options]
    outcome = unmix("evaluate", "--model", "mixture", *given)
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert sentence in outcome.errors[0]
    assert outcome.out == ""


def test_reports_that_are_not_there_are_named(unmix: Unmix) -> None:
    outcome = unmix("evaluate", "--compare", "nowhere", "either")
    assert outcome.code == 1
    assert outcome.errors == [
        "error: nowhere: no report found; make one with unmix evaluate --out nowhere"
    ]


def test_a_damaged_reference_is_named_and_nothing_is_left(
    unmix: Unmix, data: Path, tmp_path: Path
) -> None:
    path = data / "song 1" / "vocals.wav"
    path.write_bytes(path.read_bytes()[:9000])
    outcome = unmix("evaluate", "--model", "mixture", "--data", data, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert "song 1" in outcome.errors[0]
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]
    assert not (tmp_path / "out" / "scores.json").exists()
