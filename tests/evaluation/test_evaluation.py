"""Evaluation: what is known in closed form, what museval says, what is kept, what is refused."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import soundfile

from unmix.errors import UnmixError
from unmix.evaluation import Report, evaluate, evaluate_estimates, load_report
from unmix.evaluation.measures import METRICS
from unmix.evaluation.report.results import report_as_dict
from unmix.evaluation.signals import Signals
from unmix.evaluation.systems.system import SavedEstimates
from unmix.weights.manifest import find_model

RATE = 8000
MakeTracks = Callable[..., Path]
ALL = ("bss", "sdr", "si_sdr", "log_l1", "singing")


@pytest.fixture
def estimates(make_tracks: MakeTracks, tmp_path: Path) -> Callable[[Path], Path]:
    """Write estimates: the references at nine tenths, and a hundredth of noise."""

    def make(references: Path, gain: float = 0.9, noise: float = 0.01) -> Path:
        random = np.random.default_rng(1)
        for path in sorted(references.rglob("*.wav")):
            samples, rate = soundfile.read(path)
            target = tmp_path / "estimates" / path.relative_to(references)
            target.parent.mkdir(parents=True, exist_ok=True)
            changed = gain * samples + noise * random.standard_normal(samples.shape)
            soundfile.write(target, changed, rate, "FLOAT")
        return tmp_path / "estimates"

    return make


def test_the_mixture_scores_what_arithmetic_says(make_tracks: MakeTracks) -> None:
    """Vocals and accompaniment are equally loud: the mixture is at 0 dB for both, and gains 0."""
    report = evaluate("mixture", data=make_tracks(), metrics=ALL)
    assert report.systems == ("mixture",)
    assert len(report.scores) == 5 * 3
    for stem in ("vocals", "accompaniment"):
        assert report.aggregate(stem, "bss_sdr").value == pytest.approx(0, abs=0.2)
        assert report.aggregate(stem, "sdr").value == pytest.approx(0, abs=0.2)
    for stem in report.stems:
        assert report.aggregate(stem, "nsdr").value == 0


def test_a_known_error_scores_its_ratio(
    make_tracks: MakeTracks, estimates: Callable[..., Path]
) -> None:
    references = make_tracks(tracks=1)
    report = evaluate_estimates(
        estimates(references, noise=0.0), references=references, metrics=ALL, baselines=[]
    )
    assert report.stems == ("vocals", "accompaniment", "drums", "bass", "other")
    for stem in report.stems:
        assert report.aggregate(stem, "bss_sdr").value == pytest.approx(20, abs=1e-3)
        assert report.aggregate(stem, "sdr").value == pytest.approx(20, abs=1e-3)
        assert report.aggregate(stem, "log_l1").value == pytest.approx(0.9151, abs=1e-3)


def test_every_metric_is_there_or_only_those_asked_for(
    make_tracks: MakeTracks, estimates: Callable[..., Path]
) -> None:
    references = make_tracks(tracks=1, stems=("vocals", "accompaniment"))
    found = estimates(references)
    report = evaluate_estimates(found, references=references, metrics=ALL)
    assert report.metrics == tuple(METRICS)
    report = evaluate_estimates(found, references=references, metrics=["si_sdr"])
    assert report.metrics == ("si_sdr",)
    with pytest.raises(UnmixError, match="unknown metric 'sdx'; choose from bss, sdr"):
        evaluate_estimates(found, references=references, metrics=["sdx"])


@pytest.mark.slow
@pytest.mark.parametrize("framewise", [False, True])
def test_museval_says_the_same(
    make_tracks: MakeTracks, estimates: Callable[..., Path], framewise: bool
) -> None:
    stems = ("vocals", "accompaniment")
    references = make_tracks(tracks=2, seconds=2.5, stems=stems, channels=1)
    options = {"references": references, "metrics": ["bss"], "framewise": framewise}
    found = estimates(references)
    ours = evaluate_estimates(found, **options, window=1.0, hop=0.5)
    theirs = evaluate_estimates(found, **options, window=1.0, hop=0.5, official=True)
    assert [(s.system, s.track, s.stem) for s in ours.scores] == [
        (s.system, s.track, s.stem) for s in theirs.scores
    ]
    for one, other in zip(ours.scores, theirs.scores, strict=True):
        assert len(one.frames["SDR"]) == 4
        for name, values in one.frames.items():
            np.testing.assert_allclose(values, other.frames[name], atol=1e-3)


def test_the_report_is_written_and_read_again(
    make_tracks: MakeTracks, estimates: Callable[..., Path], tmp_path: Path
) -> None:
    references = make_tracks(seconds=2, stems=("vocals", "accompaniment"))
    out = tmp_path / "report"
    report = evaluate_estimates(
        estimates(references),
        references=references,
        metrics=ALL,
        out=out,
        examples=1,
    )
    assert set(report.systems) == {
        "estimates", "mixture", "irm", "ibm", "mwf", "hpss", "repet-sim",
    }  # fmt: skip
    again = load_report(out)
    assert report_as_dict(again)["aggregates"] == report_as_dict(report)["aggregates"]
    lines = (out / "scores.csv").read_text().splitlines()
    assert len(lines) == 1 + 7 * 3 * 2
    assert lines[0].startswith("system,track,stem,seconds,bss_sdr,")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "song 2" in page
    assert page.count("<audio") == 2 * 4
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.fixture
def museval() -> Iterator[ModuleType]:
    """The package itself, which does not import on a machine without FFmpeg's programs."""
    before = dict(sys.modules)
    sys.modules["stempeg"] = ModuleType("stempeg")
    try:
        import museval

        yield museval
    finally:
        for name in set(sys.modules) - set(before):
            if name.split(".")[0] in ("museval", "musdb", "stempeg"):
                del sys.modules[name]


def test_musevals_tools_read_the_report(
    make_tracks: MakeTracks,
    estimates: Callable[..., Path],
    tmp_path: Path,
    museval: ModuleType,
) -> None:
    references = make_tracks()
    out = tmp_path / "report"
    report = evaluate_estimates(
        estimates(references), references=references, out=out, baselines=[], examples=0
    )
    store = museval.EvalStore()
    store.add_eval_dir(out / "museval")
    frames = store.agg_frames_tracks_scores()
    tracks = json.loads((out / "scores.json").read_text())["tracks"]
    for stem in report.stems:
        for name in ("SDR", "ISR", "SIR", "SAR"):
            ours = report.aggregate(stem, f"bss_{name.lower()}", "median").value
            assert frames[stem, name] == pytest.approx(ours, abs=1e-4)
    for track, scores in tracks.items():
        frame = museval.json2df(scores, track)
        assert len(frame) == len(report.stems) * 4 * 4


class Counting(SavedEstimates):
    """Estimates from files, that counts how often it is asked."""

    asked: ClassVar[list[str]] = []

    def estimate(self, track, signals, stems):  # type: ignore[no-untyped-def]
        self.asked.append(track.name)
        return super().estimate(track, signals, stems)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(Counting, "asked", [])
    monkeypatch.setattr("unmix.evaluation.api.SavedEstimates", Counting)
    return Counting.asked


def _run(found: Path, references: Path, out: Path, **options: object) -> Report:
    return evaluate_estimates(
        found, references=references, out=out, baselines=[], examples=0, **options
    )


def test_what_was_scored_is_not_scored_again(
    make_tracks: MakeTracks,
    estimates: Callable[..., Path],
    tmp_path: Path,
    counting: list[str],
) -> None:
    references = make_tracks()
    found, out = estimates(references), tmp_path / "report"
    first = _run(found, references, out)
    assert counting == ["song 0", "song 1", "song 2"]
    again = _run(found, references, out)
    assert len(counting) == 3
    assert report_as_dict(again) == report_as_dict(first)
    # One estimate is made anew, one reference is; another window asks for all.
    for path in (found / "song 1" / "vocals.wav", references / "song 2" / "bass.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, 0.5 * samples, rate, "FLOAT")
    _run(found, references, out)
    assert counting[3:] == ["song 1", "song 2"]
    _run(found, references, out, window=0.5)
    assert counting[5:] == ["song 0", "song 1", "song 2"]


def test_a_run_that_was_stopped_goes_on(
    make_tracks: MakeTracks,
    estimates: Callable[..., Path],
    tmp_path: Path,
    counting: list[str],
) -> None:
    references = make_tracks()
    found, out = estimates(references), tmp_path / "report"

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt  # amid the second track

    with pytest.raises(KeyboardInterrupt):
        _run(found, references, out, progress=stop)
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    asked = len(counting)
    report = _run(found, references, out)
    assert 1 <= asked <= 2
    assert [*dict.fromkeys(counting)] == ["song 0", "song 1", "song 2"]
    assert "song 0" not in counting[asked:]
    whole = _run(found, references, tmp_path / "other")
    assert report_as_dict(report) == report_as_dict(whole)


def test_a_kept_score_that_is_cut_short_is_made_again(
    make_tracks: MakeTracks,
    estimates: Callable[..., Path],
    tmp_path: Path,
    counting: list[str],
) -> None:
    references = make_tracks(tracks=1)
    found, out = estimates(references), tmp_path / "report"
    first = _run(found, references, out)
    kept = out / "tracks" / "estimates" / "song 0.json"
    kept.write_text(kept.read_text()[:100])
    assert report_as_dict(_run(found, references, out)) == report_as_dict(first)
    assert len(counting) == 2


def test_progress_rises_to_one(make_tracks: MakeTracks, estimates: Callable[..., Path]) -> None:
    references = make_tracks()
    seen: list[float] = []
    evaluate_estimates(
        estimates(references), references=references, metrics=["sdr"], progress=seen.append
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) > 6


@pytest.mark.slow
def test_nothing_is_read_whole(
    make_tracks: MakeTracks,
    estimates: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long a track is: what is in memory at once are blocks of a few seconds."""
    references = make_tracks(tracks=1, seconds=80, stems=("vocals", "accompaniment"), channels=1)
    found = estimates(references)
    asked: list[int] = []
    read = Signals.read

    def watched(self: Signals, name: str, start: int = 0, count: int | None = None) -> object:
        asked.append(self.length if count is None else count)
        return read(self, name, start, count)

    monkeypatch.setattr(Signals, "read", watched)
    evaluate_estimates(found, references=references, metrics=["bss", "sdr"], out=tmp_path / "r")
    assert max(asked) <= 1 << 18 < 80 * RATE


def test_estimates_are_found_by_the_last_part_of_their_name(
    make_tracks: MakeTracks, estimates: Callable[..., Path]
) -> None:
    references = make_tracks("data/test", tracks=2)
    report = evaluate_estimates(estimates(references), references=references.parent, metrics="sdr")
    assert set(report.tracks) == {"test/song 0", "test/song 1"}


def test_demucs_names_are_understood(
    make_tracks: MakeTracks, estimates: Callable[..., Path]
) -> None:
    references = make_tracks(tracks=1, stems=("vocals", "accompaniment"))
    found = estimates(references, noise=0.0)
    path = found / "song 0" / "accompaniment.wav"
    path.rename(path.with_name("no_vocals.wav"))
    report = evaluate_estimates(found, references=references, metrics=["sdr"], baselines=[])
    assert report.aggregate("accompaniment", "sdr").value == pytest.approx(20, abs=1e-3)


def test_tracks_without_estimates_are_named(
    make_tracks: MakeTracks, estimates: Callable[..., Path]
) -> None:
    references = make_tracks()
    found = estimates(references)
    for path in (found / "song 1").iterdir():
        path.unlink()
    with pytest.raises(UnmixError, match=r"no estimates of 1 of 3 tracks: song 1; add them"):
        evaluate_estimates(found, references=references)


@pytest.mark.parametrize(
    ("rate", "seconds", "sentence"),
    [
        (16000, 4.0, "has 16000 Hz, but its reference has 8000 Hz"),
        (RATE, 3.0, "lasts 3.00 s, but its"),
    ],
)
def test_estimates_of_something_else_are_refused(
    make_tracks: MakeTracks, rate: int, seconds: float, sentence: str
) -> None:
    references = make_tracks(tracks=1)
    found = make_tracks("estimates", tracks=1, rate=rate, seconds=seconds)
    with pytest.raises(UnmixError, match=sentence):
        evaluate_estimates(found, references=references)


def test_estimates_that_are_a_little_shorter_are_padded(
    make_tracks: MakeTracks, estimates: Callable[..., Path]
) -> None:
    references = make_tracks(tracks=1)
    found = estimates(references, noise=0.0)
    for path in found.rglob("*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples[:-100], rate, "FLOAT")
    report = evaluate_estimates(found, references=references, metrics=["sdr"], baselines=[])
    error = 0.1**2 + 100 / (4 * RATE)
    assert report.aggregate("vocals", "sdr").value == pytest.approx(-10 * np.log10(error), abs=0.1)


def test_silent_frames_are_not_defined(make_tracks: MakeTracks, tmp_path: Path) -> None:
    references = make_tracks(tracks=1, stems=("vocals", "accompaniment"))
    path = references / "song 0" / "vocals.wav"
    samples, _ = soundfile.read(path)
    samples[:RATE] = 0
    soundfile.write(path, samples, RATE, "FLOAT")
    report = evaluate("mixture", data=references)
    for score in report.scores:
        assert np.isnan(score.frames["SDR"][0])
        assert np.isfinite(score.frames["SDR"][1:]).all()
        assert np.isfinite(score.values["bss_sdr"])


def test_a_silent_stem_is_left_out_of_aggregates_and_said(make_tracks: MakeTracks) -> None:
    references = make_tracks(stems=("vocals", "accompaniment"))
    path = references / "song 0" / "vocals.wav"
    soundfile.write(path, np.zeros((4 * RATE, 2)), RATE, "FLOAT")
    report = evaluate("mixture", data=references)
    assert report.aggregate("vocals", "bss_sdr").tracks == 2
    assert report.aggregate("vocals", "sdr").tracks == 2
    plain = report_as_dict(report)
    silent = next(row for row in plain["scores"] if row["track"] == "song 0")
    assert silent["values"]["sdr"] == "-inf"
    json.dumps(plain, allow_nan=False)


def test_tracks_without_the_stems_are_refused(make_tracks: MakeTracks) -> None:
    with pytest.raises(UnmixError, match="some tracks lack both a mixture and stems"):
        evaluate("mixture", data=make_tracks("a", stems=("vocals",)))
    with pytest.raises(UnmixError, match="some tracks lack piano; choose from vocals"):
        evaluate("mixture", data=make_tracks("b"), stems=["piano"])


def test_unknown_baselines_list_the_known(make_tracks: MakeTracks) -> None:
    with pytest.raises(UnmixError, match="unknown baseline 'oracle'; choose from mixture, irm"):
        evaluate("mixture", data=make_tracks(), baselines=["oracle"])


def test_a_model_is_scored_at_its_own_rate(make_tracks: MakeTracks) -> None:
    """The embedded model takes any rate; what it makes of noise is below what it is made of."""
    report = evaluate(data=make_tracks(tracks=1), metrics=["sdr"], baselines=[])
    assert report.system == find_model("default").name
    assert report.stems == ("vocals", "accompaniment")
    assert all(-20 < score.values["sdr"] < 10 for score in report.scores)
