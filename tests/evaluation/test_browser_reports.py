"""Reports of the embedded model on real data, from the command line into a real browser."""

import json
from pathlib import Path

import pytest
from chromium import resize, rows, run, text, wait
from selenium import webdriver

from unmix.evaluation import Report, evaluate, load_report, open_dataset
from unmix.evaluation.datasets import Dataset
from unmix.evaluation.report.excerpts import SECONDS

pytestmark = pytest.mark.slow


def _songs(shared: Path) -> Dataset:
    dataset = open_dataset(f"folder:{shared / 'data' / 'musdb18-7'}", "dev")
    assert len(dataset.tracks) == 14
    return dataset.only(["A*", "C*"])


def _clips(shared: Path) -> Dataset:
    """Clips of some singers of the published test split: whole, it takes a quarter of an hour."""
    dataset = open_dataset(f"mir1k:{shared / 'data' / 'mir1k'}", "test")
    assert len(dataset.tracks) == 825
    return dataset.only(["[a-j]*_1_01"])


@pytest.mark.parametrize("choose", [_songs, _clips])
def test_a_report_of_the_embedded_model(
    shared: Path, tmp_path: Path, browser: webdriver.Chrome, choose: object
) -> None:
    dataset = choose(shared)  # type: ignore[operator]
    baselines = ("mixture", "irm")
    report = evaluate(data=dataset, baselines=baselines, out=tmp_path, examples=2)
    for stem in report.stems:
        for metric in {"bss_sdr", "sdr", "nsdr"} & set(report.metrics):
            found = {s: report.aggregate(stem, metric, None, s).value for s in report.systems}
            # No bound: a model that turns phases may pass the mask that leaves them.
            assert found["mixture"] < min(found[report.system], found["irm"]), (stem, metric, found)
    check_page(browser, tmp_path, load_report(tmp_path), examples=2)


def check_page(browser: webdriver.Chrome, folder: Path, report: Report, *, examples: int) -> None:
    """Open the page of a report, and find in it what there is in the report."""
    resize(browser, 1280)
    browser.get((folder / "index.html").as_uri())
    for stem in report.stems:
        summary = rows(browser, f'table.summary[data-stem="{stem}"]')
        assert [row[0] for row in summary] == list(report.systems)
        for row in summary:
            for metric, cell in zip(report.metrics, row[1:], strict=True):
                value = report.aggregate(stem, metric, None, row[0]).value
                assert cell.startswith(text(value)), (stem, metric, row)
        title = f"{report.system}: every metric"
        tracks = rows(browser, f'table.sortable[data-stem="{stem}"][data-title="{title}"]')
        assert [row[0] for row in tracks] == list(report.tracks)
    sounds = examples * len(report.stems) * 4
    plots = "[...document.querySelectorAll('.plots svg')].map(x => x.getBBox().width)"
    widths = run(browser, plots)
    assert len(widths) == len(report.stems) * len(report.metrics)
    assert min(widths) > 0
    assert run(browser, "[...document.images].map(x => x.naturalWidth > 0)") == [True] * sounds
    wait(browser, "[...document.querySelectorAll('audio')].every(x => x.readyState >= 1)")
    durations = run(browser, "[...document.querySelectorAll('audio')].map(x => x.duration)")
    assert len(durations) == sounds
    assert all(0 < duration < SECONDS + 0.2 for duration in durations)
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    json.loads((folder / "scores.json").read_text(encoding="utf-8"))
