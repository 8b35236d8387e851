"""What is scored: stems and what they are held against, baselines, names, tracks to show."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unmix import Separator, load_model
from unmix.audio import resample
from unmix.errors import UnmixError
from unmix.evaluation import Report, TrackScore, evaluate, evaluate_estimates, open_dataset
from unmix.evaluation.selection import choose_examples
from unmix.evaluation.systems.system import ModelSystem, SavedEstimates
from unmix.metrics import bss_eval

RATE = 8000
MakeTracks = Callable[..., Path]


@pytest.fixture
def estimates(tmp_path: Path) -> Callable[[Path], Path]:
    """Write estimates: every reference with a tenth of all the others, and noise."""

    def make(references: Path) -> Path:
        random = np.random.default_rng(1)
        for folder in sorted(path for path in references.iterdir() if path.is_dir()):
            stems = {path.name: soundfile.read(path)[0] for path in sorted(folder.iterdir())}
            for name, samples in stems.items():
                leak = 0.1 * (sum(stems.values()) - samples)
                noise = 0.01 * random.standard_normal(samples.shape)
                target = tmp_path / "estimates" / folder.name / name
                target.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(target, samples + leak + noise, RATE, "FLOAT")
        return tmp_path / "estimates"

    return make


def _values(report: Report, stem: str) -> dict[str, float]:
    return {metric: report.aggregate(stem, metric).value for metric in report.metrics}


def test_a_stem_alone_scores_as_among_all(
    make_tracks: MakeTracks, estimates: Callable[[Path], Path]
) -> None:
    """What interferes is what there is, not what was asked for."""
    references = make_tracks(tracks=1, seconds=2)
    found = estimates(references)
    options = {"references": references, "baselines": [], "metrics": ["bss", "sdr"]}
    every = evaluate_estimates(found, **options)
    alone = evaluate_estimates(found, **options, stems="vocals")
    assert alone.stems == ("vocals",)
    assert _values(alone, "vocals") == _values(every, "vocals")
    for path in found.rglob("*.wav"):
        if path.stem != "vocals":
            path.unlink()
    lonely = evaluate_estimates(found, **options)
    assert lonely.stems == ("vocals",)
    assert np.isfinite(_values(lonely, "vocals")["bss_sir"])


def test_accompaniment_is_held_against_vocals_and_instruments_against_each_other(
    make_tracks: MakeTracks, estimates: Callable[[Path], Path]
) -> None:
    references = make_tracks(tracks=1, seconds=2)
    found = estimates(references)
    options = {"references": references, "baselines": [], "metrics": ["bss", "singing"]}
    every = evaluate_estimates(found, **options)
    assert every.stems == ("vocals", "accompaniment", "drums", "bass", "other")
    folder = found / "song 0"
    parts = [soundfile.read(folder / f"{name}.wav")[0] for name in ("drums", "bass", "other")]
    soundfile.write(folder / "accompaniment.wav", sum(parts), RATE, "FLOAT")
    for name in ("drums", "bass", "other"):
        (folder / f"{name}.wav").unlink()
    pair = evaluate_estimates(found, **options)
    assert pair.stems == ("vocals", "accompaniment")
    ours, theirs = _values(every, "accompaniment"), _values(pair, "accompaniment")
    assert ours == pytest.approx(theirs, abs=1e-3)
    # Four stems leave less unexplained than two: the vocals' artefacts are fewer, or as many.
    assert _values(every, "vocals")["bss_sar"] > _values(pair, "vocals")["bss_sar"]


def test_a_baseline_is_scored_on_all_stems(make_tracks: MakeTracks) -> None:
    report = evaluate("irm", data=make_tracks(tracks=1, seconds=2), metrics="sdr")
    assert report.stems == ("vocals", "accompaniment", "drums", "bass", "other")


def test_baselines_that_do_not_fit_are_left_out_or_refused(
    make_tracks: MakeTracks, tmp_path: Path
) -> None:
    data = make_tracks(tracks=1, seconds=2)
    options = {"data": data, "metrics": "sdr", "stems": "drums", "examples": 0}
    report = evaluate("irm", **options, out=tmp_path / "report")
    assert report.systems == ("irm", "mixture", "ibm", "mwf")
    with pytest.raises(UnmixError, match="hpss cannot separate drums"):
        evaluate("irm", **options, baselines="hpss")
    with pytest.raises(UnmixError, match="hpss lacks drums; choose from vocals, accompaniment"):
        evaluate("hpss", **options)


def test_names_may_be_a_string_and_twice(make_tracks: MakeTracks) -> None:
    data = make_tracks(tracks=1, seconds=2)
    report = evaluate("mixture", data=data, metrics="sdr,si_sdr", stems="vocals, vocals")
    assert report.stems == ("vocals",)
    assert report.metrics == ("sdr", "si_sdr")


@pytest.mark.parametrize("change", ["weights", "quality"])
def test_another_model_is_another_fingerprint(change: str, make_tracks: MakeTracks) -> None:
    (track,) = open_dataset(make_tracks(tracks=1, seconds=1)).tracks

    def system() -> ModelSystem:
        return ModelSystem(Separator("unet"), "balanced")

    assert system().fingerprint(track) == system().fingerprint(track)
    other = ModelSystem(Separator("unet", quality="fast"), "fast")
    if change == "weights":
        separator = Separator("unet")
        with torch.no_grad():
            next(separator.model.parameters())[0] += 1e-3
        other = ModelSystem(separator, "balanced")
    assert other.fingerprint(track) != system().fingerprint(track)


def test_a_model_in_hand_is_scored_anew(make_tracks: MakeTracks, tmp_path: Path) -> None:
    """Nothing tells whether its class has changed."""
    model = load_model("unet")
    (track,) = open_dataset(make_tracks(tracks=1, seconds=1)).tracks
    prints = {ModelSystem(Separator(model), "balanced").fingerprint(track) for _ in range(2)}
    assert len(prints) == 2


def test_a_window_without_end_is_the_whole_track(
    make_tracks: MakeTracks, estimates: Callable[[Path], Path], tmp_path: Path
) -> None:
    references = make_tracks(tracks=1, seconds=2.5, stems=("vocals", "accompaniment"))
    found = estimates(references)
    report = evaluate_estimates(
        found, references=references, metrics="bss", window=float("inf"), baselines=[],
        out=tmp_path / "report", examples=0,
    )  # fmt: skip

    def read(root: Path) -> torch.Tensor:
        paths = [root / "song 0" / f"{stem}.wav" for stem in report.stems]
        return torch.from_numpy(np.stack([soundfile.read(path)[0].T for path in paths]))

    whole = bss_eval(estimates=read(found), references=read(references))
    for row, score in enumerate(report.scores):
        assert score.frames["SIR"] == pytest.approx(whole.sir[row].tolist(), abs=1e-5)
        assert len(score.frames["SIR"]) == 1


@pytest.mark.parametrize(("window", "hop"), [(1e-5, None), (1.0, 1e-6)])
def test_less_than_a_sample_is_no_window(
    make_tracks: MakeTracks, window: float, hop: float | None
) -> None:
    with pytest.raises(UnmixError, match="shorter than a sample at 8000 Hz"):
        evaluate("mixture", data=make_tracks(tracks=1), window=window, hop=hop)


@pytest.mark.parametrize("value", [float("nan"), 0.0, -1.0])
def test_windows_are_above_zero(make_tracks: MakeTracks, value: float) -> None:
    with pytest.raises(UnmixError, match="above 0 seconds"):
        evaluate("mixture", data=make_tracks(tracks=1), window=value)


def test_what_is_no_number_is_named(
    make_tracks: MakeTracks, estimates: Callable[[Path], Path]
) -> None:
    references = make_tracks(tracks=1, seconds=2)
    path = estimates(references) / "song 0" / "bass.wav"
    samples, _ = soundfile.read(path)
    samples[100] = np.nan
    soundfile.write(path, samples, RATE, "FLOAT")
    with pytest.raises(UnmixError, match=r"bass\.wav contains 2 samples that are NaN"):
        evaluate_estimates(path.parents[1], references=references, metrics="sdr")


def test_perfect_is_infinite_and_in_no_mean(make_tracks: MakeTracks) -> None:
    references = make_tracks(tracks=2, seconds=2)
    report = evaluate_estimates(references, references=references, metrics="sdr", baselines=[])
    assert all(score.values["sdr"] == np.inf for score in report.scores)
    assert report.aggregate("vocals", "sdr").tracks == 0


def test_one_estimate_is_not_two_tracks(
    make_tracks: MakeTracks, estimates: Callable[[Path], Path]
) -> None:
    for album in ("a", "b"):
        make_tracks(f"data/{album}", tracks=1, seconds=1)
    references = make_tracks("other", tracks=1, seconds=1).parent / "data"
    found = estimates(references / "a")
    with pytest.raises(UnmixError, match="song 0 may be a/song 0 or b/song 0"):
        evaluate_estimates(found, references=references)


def test_a_folder_called_dot_has_a_name(
    make_tracks: MakeTracks, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tracks("demucs", tracks=1, seconds=1)
    monkeypatch.chdir(root)
    assert SavedEstimates(Path()).name == "demucs"


def test_a_name_is_itself_before_it_is_a_pattern(make_tracks: MakeTracks) -> None:
    root = make_tracks(tracks=2, seconds=1)
    (root / "song 0").rename(root / "song [live]")
    assert [t.name for t in open_dataset(root).only(["song [live]"]).tracks] == ["song [live]"]


def test_opus_estimates_have_a_rate_of_their_own(make_tracks: MakeTracks, tmp_path: Path) -> None:
    references = make_tracks(tracks=1, seconds=3, rate=44100, stems=("vocals", "accompaniment"))
    for path in sorted(references.rglob("*.wav")):
        samples, _ = soundfile.read(path, dtype="float32")
        target = tmp_path / "estimates" / "song 0" / f"{path.stem}.opus"
        target.parent.mkdir(parents=True, exist_ok=True)
        coded = resample(samples.T, 44100, 48000).T
        soundfile.write(target, coded, 48000, format="OGG", subtype="OPUS")
    report = evaluate_estimates(
        tmp_path / "estimates", references=references, metrics="sdr", baselines="mixture"
    )
    for stem in report.stems:
        found, mixed = (report.aggregate(stem, "sdr", None, s).value for s in report.systems)
        assert found > mixed + 1


@pytest.mark.parametrize(("metric", "order"), [("sdr", "bca"), ("log_l1", "acb")])
def test_examples_go_from_the_worst_to_the_best(metric: str, order: str) -> None:
    values = {"a": 9.0, "b": 1.0, "c": 5.0}
    scores = [TrackScore("m", t, "vocals", 1.0, {metric: v}) for t, v in values.items()]
    report = Report("m", "d", tuple(scores))
    assert choose_examples(report, 3) == list(order)
    assert choose_examples(report, 2) == [order[0], order[-1]]
    assert choose_examples(report, 0) == []
    assert len(choose_examples(report, 99)) == 3
