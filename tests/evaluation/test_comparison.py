"""Two reports against each other: pairs by track, and what may not be compared."""

import numpy as np
import pytest

from unmix.errors import UnmixError
from unmix.evaluation import Report, TrackScore, compare_reports
from unmix.evaluation.comparison import comparison_as_dict


def _report(values: dict[str, float], system: str = "m", **settings: object) -> Report:
    scores = [
        TrackScore(system, track, "vocals", 7.0, {"sdr": value, "si_sdr": value - 1})
        for track, value in values.items()
    ]
    return Report(system, "d", tuple(scores), settings)


def test_a_constant_gain_is_found_with_no_doubt() -> None:
    random = np.random.default_rng(0)
    theirs = {str(track): float(value) for track, value in enumerate(random.normal(5, 3, 20))}
    ours = {track: value + 0.5 for track, value in theirs.items()}
    rows = compare_reports(_report(ours), _report(theirs))
    assert [(row.stem, row.metric) for row in rows] == [("vocals", "sdr"), ("vocals", "si_sdr")]
    for row in rows:
        gap = row.paired.difference
        assert (gap.value, gap.low, gap.high) == pytest.approx((0.5, 0.5, 0.5))
        assert row.first - row.second == pytest.approx(0.5)
        assert row.paired.better == 20
        assert row.paired.p_value < 1e-4


def test_only_tracks_that_both_have_count() -> None:
    ours = {"a": 3.0, "b": 100.0, "c": 5.0, "d": np.nan}
    theirs = {"a": 2.0, "c": 3.0, "d": 1.0, "e": -100.0}
    row = compare_reports(_report(ours), _report(theirs))[0]
    assert row.paired.difference.tracks == 2
    assert (row.first, row.second, row.paired.difference.value) == (4.0, 2.5, 1.5)


def test_baselines_in_a_report_are_not_its_system() -> None:
    ours = _report({"a": 3.0, "b": 4.0})
    both = Report("m", "d", (*ours.scores, *_report({"a": -9.0, "b": -9.0}, "mixture").scores))
    assert compare_reports(both, ours)[0].paired.difference.value == 0


def test_what_has_nothing_in_common_is_refused() -> None:
    with pytest.raises(UnmixError, match="have no score in common"):
        compare_reports(_report({"a": 1.0}), _report({"b": 1.0}))


def test_frames_of_different_lengths_are_not_compared() -> None:
    with pytest.raises(UnmixError, match=r"window is 1.0 and 2.0"):
        compare_reports(_report({"a": 1.0}, window=1.0), _report({"a": 1.0}, window=2.0))


def test_plain_values_are_plain() -> None:
    rows = comparison_as_dict(compare_reports(_report({"a": 1.0}), _report({"a": 2.0})))
    assert rows[0]["paired"]["difference"] == {
        "value": -1.0, "low": None, "high": None, "tracks": 1,
    }  # fmt: skip
