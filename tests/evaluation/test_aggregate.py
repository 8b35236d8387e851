"""One figure for many tracks, and two systems against each other."""

import numpy as np
import pytest

from unmix.evaluation import Report, TrackScore
from unmix.evaluation.report.aggregate import AGGREGATIONS, aggregate
from unmix.evaluation.report.comparison import compare
from unmix.evaluation.scoring import over_frames

NAN, INF = float("nan"), float("inf")


def test_frames_that_are_not_finite_do_not_count() -> None:
    assert over_frames([1, NAN, 3, 8, INF]) == 3
    assert np.isnan(over_frames([NAN, NAN]))


def test_each_name_is_its_formula() -> None:
    values, seconds = [1.0, 2.0, 9.0, NAN], [10.0, 20.0, 30.0, 1000.0]
    found = {name: aggregate(values, name, seconds=seconds) for name in AGGREGATIONS}
    assert found["median"].value == 2
    assert found["mean"].value == 4
    assert found["weighted"].value == pytest.approx((10 + 40 + 270) / 60)
    for one in found.values():
        assert one.tracks == 3
        assert 1 <= one.low <= one.value <= one.high <= 9


def test_the_interval_is_seeded_and_covers() -> None:
    """Of means of 40 normal values, 95 % lie within 1.96 standard errors; so do the intervals."""
    random = np.random.default_rng(0)
    samples = random.normal(5, 2, (200, 40))
    found = [aggregate(values, "mean") for values in samples]
    assert found[0] == aggregate(samples[0], "mean")
    assert found[0].low != aggregate(samples[0], "mean", seed=1).low
    hit = np.mean([one.low <= 5 <= one.high for one in found])
    assert 0.89 <= hit <= 0.98
    widths = [one.high - one.low for one in found]
    assert np.mean(widths) == pytest.approx(2 * 1.96 * 2 / 40**0.5, rel=0.05)


@pytest.mark.parametrize("tracks", [2, 3, 8, 40, 301])
def test_the_interval_is_that_of_drawn_tracks(tracks: int) -> None:
    """Ties included: a resample draws tracks with their weights, and nothing else is done."""
    random = np.random.default_rng(tracks)
    values, seconds = random.normal(3, 5, tracks).round(1), random.uniform(3, 400, tracks)
    draws = np.random.default_rng(4)
    rows = np.concatenate([draws.integers(tracks, size=(1000, tracks)) for _ in range(10)])
    expected = {
        "median": np.median(values[rows], 1),
        "mean": values[rows].mean(1),
        "weighted": (values[rows] * seconds[rows]).sum(1) / seconds[rows].sum(1),
    }
    for how, found in expected.items():
        one = aggregate(values, how, seconds=seconds, seed=4)
        assert (one.low, one.high) == pytest.approx(tuple(np.percentile(found, [2.5, 97.5])))


def test_intervals_stay_the_same_from_version_to_version() -> None:
    random = np.random.default_rng(40)
    values, seconds = random.normal(3, 5, 40), random.uniform(3, 400, 40)
    found = {name: aggregate(values, name, seconds=seconds) for name in AGGREGATIONS}
    assert {name: (one.value, one.low, one.high) for name, one in found.items()} == {
        "median": pytest.approx(
            (2.0081964647665957, 0.29804432426092897, 4.087022733862419), abs=1e-12
        ),
        "mean": pytest.approx(
            (2.3137179414290507, 1.0171886427403647, 3.567761426384238), abs=1e-12
        ),
        "weighted": pytest.approx(
            (2.5705816189999044, 1.3402881751608893, 3.820347859878954), abs=1e-12
        ),
    }


def test_a_report_computes_an_aggregate_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(values: object, how: str, **options: object) -> object:
        made.append(how)
        return aggregate(values, how, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("unmix.evaluation.report.scores.aggregate", counted)
    scores = tuple(TrackScore("m", str(n), "vocals", 1.0 + n, {"sdr": n}) for n in range(3))
    report = Report("m", "d", scores)
    assert report.aggregate("vocals", "sdr") is report.aggregate("vocals", "sdr", "mean", "m")
    assert report.aggregate("vocals", "sdr", "weighted").value == pytest.approx(8 / 6)
    assert made == ["mean", "weighted"]
    report.values("vocals", "sdr").clear()
    assert report.values("vocals", "sdr") == {"0": 0, "1": 1, "2": 2}
    assert report.values("vocals", "no metric") == {}


def test_few_tracks_have_no_interval() -> None:
    one = aggregate([3.0], "median")
    assert (one.value, one.tracks) == (3, 1)
    assert np.isnan([one.low, one.high]).all()
    none = aggregate([NAN], "mean")
    assert np.isnan(none.value)
    assert none.tracks == 0


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="unknown aggregation 'best'; choose from median"):
        aggregate([1.0], "best")
    with pytest.raises(ValueError, match="duration of every track"):
        aggregate([1.0], "weighted")
    with pytest.raises(ValueError, match="1 durations for 2 values"):
        aggregate([1.0, 2.0], "weighted", seconds=[1.0])


def test_a_steady_gain_is_significant_and_noise_is_not() -> None:
    random = np.random.default_rng(3)
    level = random.normal(5, 3, 30)
    first = {str(track): value for track, value in enumerate(level)}
    better = {track: value - 0.2 + 0.1 * random.normal() for track, value in first.items()}
    found = compare(first, better, "mean")
    assert found.p_value < 1e-4
    assert found.difference.value == pytest.approx(0.2, abs=0.06)
    assert found.difference.low > 0
    assert found.better > 25
    assert found.better + found.worse == 30
    noise = {track: value + random.normal() for track, value in first.items()}
    found = compare(first, noise)
    assert found.p_value > 0.05
    assert found.difference.low < 0 < found.difference.high


def test_only_tracks_of_both_are_compared() -> None:
    first = {"a": 1.0, "b": 2.0, "c": NAN, "d": 3.0}
    second = {"b": 1.0, "c": 1.0, "d": 1.5, "e": 5.0}
    found = compare(first, second, "weighted", seconds={"b": 1.0, "c": 1.0, "d": 3.0})
    assert found.difference.value == pytest.approx((1 + 3 * 1.5) / 4)
    assert (found.better, found.worse, found.difference.tracks) == (2, 0, 2)
    same = compare(first, first)
    assert same.p_value == 1
    assert same.difference.value == 0
    assert np.isnan(compare(first, {}).p_value)
