"""Two reports against each other: pairs by track, and what may not be compared."""

from dataclasses import replace

import numpy as np
import pytest

from unmix.errors import UnmixError
from unmix.evaluation import Report, TrackScore, compare_reports
from unmix.evaluation.report.comparison import comparison_as_dict


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


def test_of_less_is_better_the_lower_is_the_better() -> None:
    def report(values: list[float]) -> Report:
        scores = [
            TrackScore("m", str(track), "vocals", 7.0, {"sdr": value, "log_l1": value})
            for track, value in enumerate(values)
        ]
        return Report("m", "d", tuple(scores))

    rows = compare_reports(report([1.0, 2.0, 3.0, 4.0]), report([2.0, 3.0, 5.0, 3.0]))
    found = {row.metric: row.paired for row in rows}
    assert (found["sdr"].better, found["sdr"].worse) == (1, 3)
    assert (found["log_l1"].better, found["log_l1"].worse) == (3, 1)
    assert found["log_l1"].p_value == found["sdr"].p_value
    assert found["log_l1"].difference.value == found["sdr"].difference.value == -0.75


def test_different_lengths_are_different_data() -> None:
    ours, theirs = _report({"a": 1.0, "b": 1.0}), _report({"a": 2.0, "b": 2.0})
    almost = [replace(score, seconds=7.009) for score in theirs.scores]
    assert compare_reports(ours, replace(theirs, scores=tuple(almost)))
    other = [replace(score, seconds=7.02) for score in theirs.scores if score.track == "b"]
    with pytest.raises(UnmixError, match=r"different data: b lasts 7.00 s and 7.02 s"):
        compare_reports(ours, replace(theirs, scores=(*theirs.scores[:2], *other)))


@pytest.mark.parametrize(
    ("name", "ours", "theirs"), [("sample_rate", 16000, 44100), ("audio_channels", 1, 2)]
)
def test_signals_of_different_kinds_are_not_compared(name: str, ours: int, theirs: int) -> None:
    first, second = (_report({"a": 1.0}, **{name: value}) for value in (ours, theirs))
    assert compare_reports(first, first)
    with pytest.raises(UnmixError, match=f"{name} is {ours} and {theirs}"):
        compare_reports(first, second)


@pytest.mark.parametrize("metric", ["bss_sir", "sar", "sdr"])
def test_figures_of_all_stems_need_the_same_stems(metric: str) -> None:
    def report(*stems: str) -> Report:
        settings = {"stems": list(stems)} if stems else {}
        return Report("m", "d", (TrackScore("m", "a", "vocals", 7.0, {metric: 1.0}),), settings)

    two, four = report("vocals", "accompaniment"), report("vocals", "drums", "bass", "other")
    assert compare_reports(two, report("accompaniment", "vocals"))
    assert compare_reports(two, report())
    if metric == "sdr":
        assert compare_reports(two, four)
    else:
        with pytest.raises(UnmixError, match=r"against different stems.*same --stems"):
            compare_reports(two, four)


def test_names_of_data_and_who_computed_may_differ() -> None:
    ours, theirs = _report({"a": 1.0}, official=True), _report({"a": 2.0}, official=False)
    assert compare_reports(ours, replace(theirs, dataset="another"))


def test_plain_values_are_plain() -> None:
    rows = comparison_as_dict(compare_reports(_report({"a": 1.0}), _report({"a": 2.0})))
    assert rows[0]["paired"]["difference"] == {
        "value": -1.0, "low": None, "high": None, "tracks": 1,
    }  # fmt: skip
