"""Scores: what is known in closed form, what museval says, how they are summed up."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.data import find_tracks
from unmix.errors import UnmixError
from unmix.evaluation import Report, TrackScore, evaluate
from unmix.evaluation.official import bss_sdr
from unmix.evaluation.report import BSS_SDR, SDR
from unmix.evaluation.scoring import score_track

RATE = 8000


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for song in range(3):
        folder = tmp_path / str(song)
        folder.mkdir()
        for stem in ("vocals", "drums", "bass", "other"):
            level = 0.1 if stem == "vocals" else 0.1 / 3**0.5
            samples = level * random.standard_normal((4 * RATE, 2))
            soundfile.write(folder / f"{stem}.wav", samples, RATE, "FLOAT")
    return tmp_path


def test_the_mixture_scores_what_arithmetic_says(tracks: Path) -> None:
    """Vocals and accompaniment are equally loud: the mixture is at 0 dB for both."""
    report = evaluate("mixture", data=tracks)
    assert report.stems == ("vocals", "accompaniment")
    assert len(report.scores) == 6
    for stem in report.stems:
        assert report.median(stem, BSS_SDR) == pytest.approx(0, abs=0.2)
        assert report.mean(stem, SDR) == pytest.approx(0, abs=0.2)


def test_a_known_error_scores_its_ratio(tracks: Path) -> None:
    track = find_tracks(tracks, ("vocals", "drums", "bass", "other"))[0]
    truth = {s: track.read(s, 0, 4 * RATE, RATE, 2) for s in ("vocals", "accompaniment")}
    scores = score_track(
        track, lambda mixture, rate: {s: 0.9 * x for s, x in truth.items()}, tuple(truth)
    )
    for score in scores:
        assert score.seconds == 4
        assert score.values[BSS_SDR] == pytest.approx(20, abs=1e-3)
        assert score.values[SDR] == pytest.approx(20, abs=1e-3)


def test_silent_frames_are_not_defined(tracks: Path) -> None:
    random = np.random.default_rng(1)
    references = list(0.1 * random.standard_normal((2, 2, 4 * RATE)).astype(np.float32))
    references[0][:, :RATE] = 0
    estimates = [0.5 * reference for reference in references]
    frames = bss_sdr(estimates=estimates, references=references, sample_rate=RATE)
    assert frames.shape == (2, 4)
    assert np.isnan(frames[:, 0]).all()
    np.testing.assert_allclose(frames[:, 1:], 20 * np.log10(2), atol=1e-3)


def test_aggregates_are_medians_and_means_of_what_is_defined() -> None:
    values = [1.0, 2.0, 9.0, float("nan")]
    report = Report(
        "m", "d", tuple(TrackScore(str(v), "vocals", 7.0, {SDR: v, BSS_SDR: -v}) for v in values)
    )
    assert report.median("vocals", SDR) == 2
    assert report.mean("vocals", SDR) == 4
    assert report.median("vocals", BSS_SDR) == -2
    plain = report.as_dict()
    assert plain["aggregate"]["vocals"][SDR]["median_over_tracks"] == 2
    assert plain["tracks"][3]["scores"][SDR] is None


def test_tracks_without_the_stems_are_refused(tmp_path: Path) -> None:
    (tmp_path / "song").mkdir()
    soundfile.write(tmp_path / "song" / "vocals.wav", np.zeros(100), RATE)
    with pytest.raises(UnmixError, match="no track has vocals, accompaniment"):
        evaluate("mixture", data=tmp_path)


def test_a_model_without_the_stem_says_what_it_gives(tracks: Path) -> None:
    track = find_tracks(tracks, ("vocals", "drums", "bass", "other"))[0]
    with pytest.raises(UnmixError, match="gives no vocals; it gives piano"):
        score_track(track, lambda mixture, rate: {"piano": mixture}, ("vocals",))


@pytest.mark.slow
def test_the_mixture_on_real_songs(shared: Path) -> None:
    """The floor that the training notes give for these songs: -3.78 and 3.78 dB."""
    report = evaluate("mixture", data=shared / "data" / "musdb18-7" / "dev")
    assert report.median("vocals", BSS_SDR) == pytest.approx(-3.78, abs=0.01)
    assert report.median("accompaniment", BSS_SDR) == pytest.approx(3.78, abs=0.01)
