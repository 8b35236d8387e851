"""The page of a report: what it draws and encodes is right, and nothing foreign gets into it."""

import io
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmix.audio import read_audio
from unmix.errors import AudioError
from unmix.evaluation.report.aggregate import AGGREGATIONS
from unmix.evaluation.report.boxplots import WIDTH, box_plot
from unmix.evaluation.report.excerpts import Excerpt
from unmix.evaluation.report.page import write_page
from unmix.evaluation.report.scores import Report, TrackScore
from unmix.evaluation.report.sounds import SOUNDS, common_gain, encode, sounds
from unmix.evaluation.report.spectrograms import FLOOR, frequency_range, palette, spectrograms

ROOT = Path(__file__).parents[2]
RATE = 16000


def noise(seed: int, channels: int = 2, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    shape = (channels, round(seconds * rate))
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def example(track: str = "Song", stem: str = "vocals", **changes: object) -> Excerpt:
    made = Excerpt(track, stem, 61.5, RATE, noise(1), noise(2), noise(3))
    return replace(made, **changes)  # type: ignore[arg-type]


def report(values: dict[str, list[float]], metric: str = "sdr") -> Report:
    """Make a report of a stem from the values of tracks by system."""
    scores = [
        TrackScore(system, f"track {index}", "vocals", 60.0, {metric: value})
        for system, found in values.items()
        for index, value in enumerate(found)
    ]
    return Report(next(iter(values)), "songs", tuple(scores))


def write(folder: Path, of: Report, *examples: Excerpt) -> str:
    write_page(of, examples, folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    scores = report({"unet": [1.0, 2.0, 4.0], "mixture": [0.0, -1.0, float("nan")]})
    assert write(tmp_path, scores, example()) == write(tmp_path, scores, example())


def test_foreign_text_is_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>\"&{{ 7 * 7 }}"
    score = TrackScore(evil, evil, evil, 60.0, {"sdr": 1.0})
    made = Report(evil, evil, (score,), {evil: evil, "several": [evil, None, 1.5]})
    page = write(tmp_path, made, example(evil, evil))
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34;&amp;{{ 7 * 7 }}" in page


def test_it_needs_nothing_beside_it(tmp_path: Path) -> None:
    page = write(tmp_path, report({"unet": [1.0]}), example())
    links = re.findall(r'(?:src|href)="([^"]{1,5})', page)
    assert len(links) == 4 + 8  # the parts of the page; pictures and sounds
    assert all(link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"https?:|url\(|@import", page)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_without_a_script_every_value_is_there(tmp_path: Path) -> None:
    values = {"unet": [1.234, float("nan"), float("inf")], "irm": [-7.5, -0.001, float("-inf")]}
    page = write(tmp_path, report(values))
    assert "<button" not in page
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    for text in ("1.23", "–", "∞", "−7.50", "0.00", "−∞"):
        assert text in cells
    assert "−0.00" not in page
    assert "Examples" not in page


def test_the_best_and_the_worst_track_are_marked(tmp_path: Path) -> None:
    more = write(tmp_path, report({"unet": [1.0, 5.0, 3.0]}))
    assert re.findall(r'<td class="(\w+)" title="\w+">([\d.]+)', more) == [
        ("worst", "1.00"),
        ("best", "5.00"),
    ]
    less = write(tmp_path, report({"unet": [1.0, 5.0, 3.0]}, "log_l1"))
    assert re.findall(r'<td class="(\w+)" title="\w+">([\d.]+)', less) == [
        ("best", "1.00"),
        ("worst", "5.00"),
    ]
    assert 'title="best"' not in write(tmp_path, report({"unet": [2.0, 2.0, 2.0]}))


def test_a_missing_value_is_a_dash(tmp_path: Path) -> None:
    made = report({"unet": [1.0, 2.0], "irm": [9.0]})
    page = write(tmp_path, made)
    rows = re.findall(r'<th scope="row" title="track 1">.*?</tr>', page)
    assert [re.findall(r">([\d.–]+)</td>", row) for row in rows] == [["2.00"], ["2.00", "–"]]


@pytest.mark.parametrize(
    ("metric", "words"),
    [("bss_sdr", "median of medians"), ("sdr", "mean"), ("nsdr", "mean weighted by duration")],
)
def test_the_header_tells_the_aggregation(tmp_path: Path, metric: str, words: str) -> None:
    assert f'<small class="way">{words}</small>' in write(tmp_path, report({"unet": [1.0]}, metric))


def test_what_is_not_over_frames_does_not_say_so(tmp_path: Path) -> None:
    for metric, words in (
        ("sdr", "signal to error, of the whole track (MDX); here the mean over tracks"),
        ("bss_sdr", "BSS Eval v4 (museval), median over frames; here the median over tracks."),
    ):
        assert words in write(tmp_path, report({"unet": [1.0]}, metric))
    assert "frames" not in AGGREGATIONS["median"]


@pytest.mark.parametrize(("values", "words"), [([1.0], "1 track,"), ([1.0, 2.0], "2 tracks,")])
def test_one_track_is_one_track(tmp_path: Path, values: list[float], words: str) -> None:
    assert f"<p>{words} " in write(tmp_path, report({"unet": values}))


def test_examples_are_in_the_order_given(tmp_path: Path) -> None:
    names = ("track 1", "track 0")
    page = write(tmp_path, report({"unet": [1.0, 2.0]}), *map(example, names))
    assert re.findall(r'class="example" data-track="([^"]+)"', page) == [*names]


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AudioError, match="cannot be"):
        write(tmp_path / "file", report({"unet": [1.0]}))


def test_boxes_are_quartiles_of_what_is_finite() -> None:
    values = [float(value) for value in range(9)]
    made = report({"unet": [*values, float("nan"), float("inf")], "irm": [float("nan")]})
    plot = box_plot(made, "vocals", "sdr")
    unet, irm = plot.boxes
    assert (unet.low, unet.lower, unet.median, unet.upper, unet.high) == (0, 2, 4, 6, 8)
    assert (unet.tracks, unet.left_out, len(unet.dots)) == (9, 2, 9)
    assert (irm.tracks, irm.left_out, irm.dots) == (0, 1, ())
    assert "unet 4.00 dB (2.00 to 6.00)" in plot.description
    assert "irm" not in plot.description


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0], [-31.7, 99.2], [1e-9, 2e-9], [], [-5e3, 7]])
def test_axes_enclose_all_values(values: list[float]) -> None:
    plot = box_plot(report({"unet": values or [float("nan")]}), "vocals", "sdr")
    assert 2 <= len(plot.ticks) <= 9
    assert all(0 < plot.x(value) < WIDTH for value in [*values, *plot.ticks])
    assert plot.ticks[-1] - plot.ticks[0] >= 1
    places = [plot.x(tick) for tick in plot.ticks]
    np.testing.assert_allclose(np.diff(places), places[1] - places[0], atol=0.02)


def test_of_many_tracks_only_outliers_are_dots() -> None:
    values = [*np.linspace(0, 1, 100), 50.0]
    (box,) = box_plot(report({"unet": values}), "vocals", "sdr").boxes
    assert [(dot.track, dot.value) for dot in box.dots] == [("track 100", 50.0)]
    assert box.high == 1


def test_error_is_the_estimate_minus_the_reference() -> None:
    made = example()
    found = sounds(made)
    assert tuple(found) == SOUNDS
    np.testing.assert_array_equal(found["mixture"], made.mixture)
    np.testing.assert_allclose(found["error"] + made.reference, made.estimate, atol=1e-7)


def test_what_is_not_finite_is_silence() -> None:
    broken = noise(2)
    broken[:, :100] = np.nan
    broken[0, 100], broken[1, 101] = np.inf, -np.inf
    found = sounds(example(estimate=broken))
    assert all(np.isfinite(samples).all() for samples in found.values())
    np.testing.assert_array_equal(found["error"][:, :100], -example().reference[:, :100])


def test_many_channels_are_heard_as_one() -> None:
    six = noise(4, channels=6)
    found = sounds(example(mixture=six, estimate=six, reference=six))
    assert {samples.shape for samples in found.values()} == {(1, RATE)}
    np.testing.assert_allclose(found["mixture"][0], six.mean(0), atol=1e-7)


@pytest.mark.parametrize("peak", [0.0, 0.1, 0.5, 1.0, 3.0])
def test_one_gain_for_all_so_that_none_clips(peak: float) -> None:
    loud = noise(1) * np.float32(peak / np.abs(noise(1)).max())
    gain = common_gain({"mixture": noise(2) * 0.01, "error": loud})
    assert gain <= 0
    assert peak * 10 ** (gain / 20) <= 10 ** (-1 / 20) + 1e-6
    assert (gain == 0) == (peak < 0.89)  # what is soft stays as soft as it is


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
def test_sounds_come_out_as_long_and_as_loud_as_they_are(
    tmp_path: Path, rate: int, channels: int
) -> None:
    time = np.arange(2 * rate) / rate
    tone = np.tile(0.5 * np.sin(2 * np.pi * 440 * time), (channels, 1)).astype(np.float32)
    (tmp_path / "sound.mp3").write_bytes(encode(tone, rate, -6.0))
    heard, at = read_audio(tmp_path / "sound.mp3")
    assert heard.shape[0] == channels
    assert heard.shape[1] / at == pytest.approx(2, abs=0.01)
    inner = heard[:, at // 4 : -at // 4]
    expected = 0.95 * 0.5 * 10 ** (-6 / 20) / np.sqrt(2)  # LAME takes 5 % off everything
    np.testing.assert_allclose(np.sqrt((inner**2).mean(1)), expected, rtol=0.005)


def test_ten_seconds_of_stereo_stay_small() -> None:
    made = sounds(example(mixture=noise(1, 2, 10, 44100), sample_rate=44100))["mixture"]
    picture = spectrograms({"mixture": made}, 44100)["mixture"]
    # Four of each, in base64, for three tracks and two stems: below ten megabytes.
    assert (len(encode(made, 44100, 0.0)) + len(picture)) * 4 / 3 * 24 < 10e6


def levels(png: bytes) -> np.ndarray:
    """Read the step of the palette of every pixel, rows from the bottom."""
    return np.asarray(Image.open(io.BytesIO(png)))[::-1].astype(int)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("frequency", [110, 1000, 3000])
def test_a_tone_is_at_its_frequency(rate: int, frequency: float) -> None:
    tone = np.sin(2 * np.pi * frequency * np.arange(2 * rate) / rate).astype(np.float32)[None]
    found = levels(spectrograms({"tone": tone}, rate)["tone"])
    rows, columns = found.shape
    assert 700 <= columns <= 900
    low, high = frequency_range(rate)
    bright = np.flatnonzero(found[:, columns // 2] == found.max())
    heights = np.log(np.array([frequency / 1.06, frequency * 1.06]) / low) / np.log(high / low)
    assert heights[0] * rows <= bright.mean() <= heights[1] * rows
    assert found.max() == len(palette()) - 1


def test_all_pictures_have_one_scale() -> None:
    loud = noise(1)
    found = spectrograms({"loud": loud, "soft": loud * 0.01, "silent": loud * 0}, RATE)
    bright, dark, black = (levels(found[name]) for name in ("loud", "soft", "silent"))
    step = 40 / -FLOOR * (len(palette()) - 1)
    seen = dark > 0
    assert seen.any()
    assert np.abs(bright - dark - step)[seen].max() <= 1
    assert bright.max() == len(palette()) - 1
    assert not black.any()
    assert not levels(spectrograms({"silent": loud * 0}, RATE)["silent"]).any()


def test_a_click_is_at_its_time() -> None:
    click = np.zeros((1, 4 * RATE), np.float32)
    click[0, RATE] = 1
    found = levels(spectrograms({"click": click}, RATE)["click"])
    bright = np.flatnonzero(found.sum(0) > 0)
    assert bright.mean() / found.shape[1] == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("length", [1, 100, 90 * RATE])
def test_excerpts_of_any_length_are_drawn(length: int) -> None:
    (picture,) = spectrograms({"any": np.ones((2, length), np.float32)}, RATE).values()
    assert levels(picture).max() == len(palette()) - 1


def test_colours_can_be_read_in_light_and_in_dark() -> None:
    """Text has the contrast of WCAG 2's level AA on everything that it stands on."""
    style = (ROOT / "unmix" / "evaluation" / "report" / "page.css").read_text()
    schemes = [dict(re.findall(r"--(\w+): #(\w{6})", part)) for part in style.split("@media")[:2]]
    for scheme in schemes:
        for text in ("ink", "faint", "accent", "worst"):
            for ground in ("paper", "card", "wash"):
                pair = sorted((luminance(scheme[text]), luminance(scheme[ground])))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (text, ground)


def luminance(colour: str) -> float:
    levels = np.array([int(colour[start : start + 2], 16) / 255 for start in (0, 2, 4)])
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_the_page_ships() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folder = ROOT / "unmix" / "evaluation" / "report"
    beside = {p.name for p in folder.iterdir() if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert set(settings["package-data"]["unmix.evaluation.report"]) == beside
