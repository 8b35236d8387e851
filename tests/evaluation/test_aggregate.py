"""One figure for many tracks, and two systems against each other."""

import numpy as np
import pytest

from unmix.evaluation.aggregate import AGGREGATIONS, aggregate, compare, over_frames

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


def test_few_tracks_have_no_interval() -> None:
    one = aggregate([3.0], "median")
    assert (one.value, one.tracks) == (3, 1)
    assert np.isnan([one.low, one.high]).all()
    none = aggregate([NAN], "mean")
    assert np.isnan(none.value)
    assert none.tracks == 0


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="no aggregation 'best'; there are median"):
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
