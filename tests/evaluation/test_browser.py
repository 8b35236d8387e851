"""The page of a report in a real browser: what its reader sees, hears and presses."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from chromium import resize, rows, run, text, wait
from selenium import webdriver
from selenium.webdriver.common.by import By

from unmix.evaluation.report.excerpts import Excerpt
from unmix.evaluation.report.page import write_page
from unmix.evaluation.report.scores import Report, TrackScore

pytestmark = pytest.mark.slow

TRACKS = ("Café & Söhne", "a <b>bold</b> one", "10 songs", "2 songs", "無題")
STEMS = ("vocals", "accompaniment")
SYSTEMS = ("unet", "mixture", "irm")
METRICS = ("bss_sdr", "sdr", "log_l1")
SECONDS = 3.0
NAN, INFINITE = float("nan"), float("inf")
# Of the system in the first metric: what sorting must cope with.
VALUES = (-3.25, 11.5, NAN, INFINITE, 2.0)


def _value(system: str, track: str, stem: str, metric: str) -> float:
    row = TRACKS.index(track)
    if (system, stem, metric) == ("unet", "vocals", "bss_sdr"):
        return VALUES[row]
    return 10 * SYSTEMS.index(system) + METRICS.index(metric) + row / 100 - STEMS.index(stem)


def _report() -> Report:
    scores = [
        TrackScore(
            system, track, stem, 61.0, {name: _value(system, track, stem, name) for name in METRICS}
        )
        for track in TRACKS
        for system in SYSTEMS
        for stem in STEMS
    ]
    return Report("unet", "songs", tuple(scores), {"window": 1.0, "metrics": ["bss", "sdr"]})


def _example(stem: str, rate: int, channels: int) -> Excerpt:
    length = round(SECONDS * rate)
    random = np.random.default_rng(0)
    mixture, estimate, reference = random.normal(0, 0.3, (3, channels, length)).astype(np.float32)
    return Excerpt(TRACKS[1], stem, 70.0, rate, mixture, estimate, reference)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "page.html"
    examples = [_example("vocals", 44100, 2), _example("accompaniment", 16000, 1)]
    write_page(_report(), examples, path)
    return path.as_uri()


@pytest.fixture
def page(browser: webdriver.Chrome, address: str) -> Iterator[webdriver.Chrome]:
    """The page, loaded anew, 1280 pixels wide; whatever is done to it, it may report no error."""
    browser.get_log("performance")
    resize(browser, 1280)
    browser.get(address)
    yield browser
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def _table(stem: str, title: str) -> str:
    return f'table.sortable[data-stem="{stem}"][data-title="{title}"]'


def test_tables_have_every_track_system_and_number(page: webdriver.Chrome) -> None:
    made = _report()
    assert page.title == "unet on songs"
    assert "5 tracks, 5.1 minutes" in page.find_element(By.TAG_NAME, "header").text
    for stem in STEMS:
        summary = rows(page, f'table.summary[data-stem="{stem}"]')
        assert [row[0] for row in summary] == list(SYSTEMS)
        for system, cells in zip(SYSTEMS, summary, strict=True):
            for metric, cell in zip(METRICS, cells[1:], strict=True):
                found = made.aggregate(stem, metric, system=system)
                interval = f"{text(found.low)} to {text(found.high)}"
                assert cell.startswith(text(found.value) + interval)
        for track, row in zip(TRACKS, rows(page, _table(stem, "unet: every metric")), strict=True):
            values = [text(_value("unet", track, stem, metric)) for metric in METRICS]
            assert row == [track, "1:01", *values]
        compared = rows(page, _table(stem, "track SDR: every system"))
        for track, row in zip(TRACKS, compared, strict=True):
            values = [text(_value(system, track, stem, "sdr")) for system in SYSTEMS]
            assert row == [track, "1:01", *values]
    assert "3 of 5 tracks" in page.find_element(By.CSS_SELECTOR, "table.summary tr.main").text


def test_box_plots_are_drawn(page: webdriver.Chrome) -> None:
    plots = page.find_elements(By.CSS_SELECTOR, ".plots svg")
    assert len(plots) == len(STEMS) * len(METRICS)
    for plot in plots:
        assert plot.rect["width"] > 300
        assert plot.rect["height"] > 100
        assert plot.get_attribute("aria-label")
        boxes = plot.find_elements(By.CSS_SELECTOR, "g.box rect")
        assert len(boxes) == len(SYSTEMS)
        for box in boxes:
            assert plot.rect["x"] < box.rect["x"]
            assert box.rect["x"] + box.rect["width"] < plot.rect["x"] + plot.rect["width"]
    assert "2 left out" in plots[0].text
    selector = ".plots svg:first-of-type circle title"
    dots = run(
        page, "[...document.querySelectorAll(arguments[0])].map(x => x.textContent)", selector
    )
    titles = [f"{TRACKS[0]}: −3.25 dB", f"{TRACKS[1]}: 11.50 dB", f"{TRACKS[4]}: 2.00 dB"]
    assert dots[:3] == titles


def test_pictures_are_decoded_and_sounds_play(page: webdriver.Chrome) -> None:
    pictures = run(
        page, "[...document.images].map(x => [x.complete, x.naturalWidth, x.naturalHeight, x.alt])"
    )
    assert len(pictures) == 2 * 4
    for complete, width, height, alt in pictures:
        assert complete
        assert (width > 700, height) == (True, 250)
        assert TRACKS[1] in alt
    wait(page, "[...document.querySelectorAll('audio')].every(x => x.readyState >= 1)")
    durations = run(page, "[...document.querySelectorAll('audio')].map(x => x.duration)")
    assert durations == pytest.approx([SECONDS] * 8, abs=0.2)
    for index in range(8):
        page.execute_script(
            "window.heard = document.querySelectorAll('audio')[arguments[0]];"
            "heard.muted = true; heard.play()",
            index,
        )
        wait(page, "heard.currentTime > 0.05 && !heard.paused && !heard.error")
        page.execute_script("heard.pause()")


def test_another_sound_goes_on_from_the_same_moment(page: webdriver.Chrome) -> None:
    wait(page, "[...document.querySelectorAll('audio')].every(x => x.readyState >= 1)")
    page.execute_script(
        "window.all = [...document.querySelectorAll('audio')];"
        "for (const audio of all) { audio.muted = true; audio.playbackRate = 0.25; }"
        "all[0].currentTime = 1; all[0].play()"
    )
    wait(page, "all[0].currentTime > 1.01")
    page.execute_script("all[1].play()")
    wait(page, "all[0].paused && !all[1].paused && all[1].currentTime > 1")
    cursors = "[...document.querySelectorAll('.cursor')].map(x => x.hidden)"
    assert run(page, cursors) == [False] * 4 + [True] * 4
    # A press in the middle of a picture of another example: that sound, from its middle.
    page.execute_script("document.images[6].scrollIntoView({block: 'center', behavior: 'instant'})")
    page.find_elements(By.CSS_SELECTOR, ".plot img")[6].click()
    wait(page, "all[1].paused && !all[6].paused && all[6].currentTime > 1.45")
    assert run(page, "all[6].currentTime") < 2.5


def test_a_header_sorts(page: webdriver.Chrome) -> None:
    selector = _table("vocals", "unet: every metric")

    def press(column: int) -> list[str]:
        page.find_elements(By.CSS_SELECTOR, f"{selector} th button")[column].click()
        return [row[column] for row in rows(page, selector)]

    page.execute_script("document.querySelector('#tracks').scrollIntoView({behavior: 'instant'})")
    assert press(2) == ["∞", "11.50", "2.00", "−3.25", "–"]
    assert press(2) == ["−3.25", "2.00", "11.50", "∞", "–"]
    names = press(0)
    assert names.index("2 songs") < names.index("10 songs")
    assert sorted(names) == sorted(TRACKS)
    sorts = "[...document.querySelectorAll(arguments[0] + ' thead th')].map(x => x.ariaSort)"
    assert run(page, sorts, selector) == ["ascending", *["none"] * (len(METRICS) + 1)]
    others = [row[0] for row in rows(page, _table("accompaniment", "unet: every metric"))]
    assert others == list(TRACKS)


@pytest.mark.parametrize("width", [320, 400, 800, 1280])
def test_nothing_is_wider_than_the_window(page: webdriver.Chrome, width: int) -> None:
    resize(page, width)
    page.execute_script("for (const x of document.querySelectorAll('details')) x.open = true")
    assert run(page, "innerWidth") == width
    root = "document.documentElement"
    assert run(page, f"{root}.scrollWidth") == run(page, f"{root}.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_light_and_dark(page: webdriver.Chrome, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    ground = run(page, "getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")
    assert (float(ground[0]) > 128) == (scheme == "light")


def test_it_loads_nothing(page: webdriver.Chrome) -> None:
    wait(page, "[...document.querySelectorAll('audio')].every(x => x.readyState >= 1)")
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [
        event["params"]["request"]["url"].split(":")[0]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert "file" in asked
    assert set(asked) <= {"file", "data"}
