"""Pictures of separations: of any length, rate and title, in bounded memory."""

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from unmix.errors import AudioError, Cancelled, UnmixError
from unmix.songs import plot
from unmix.songs.plot import PlotFile, SpectrogramPlot, plot_file, song_title
from unmix.songs.render import StemSeparator
from unmix.songs.spectrogram import PooledSpectrogram

Samples = NDArray[np.float32]
MakeSong = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes | None]]
PNG = b"\x89PNG\r\n\x1a\n"


def _columns(samples: Samples, n_fft: int, cuts: Iterable[int] = ()) -> PooledSpectrogram:
    columns = PooledSpectrogram(n_fft)
    for piece in np.split(samples, sorted(cuts), axis=1):
        columns.push(piece)
    return columns


def test_blocks_make_no_difference() -> None:
    samples = np.random.default_rng(0).standard_normal((2, 50000), np.float32)
    whole = _columns(samples, 512).finish()
    cut = _columns(samples, 512, [1, 2, 700, 701, 30000]).finish()
    np.testing.assert_allclose(whole, cut, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frequency", [100, 440, 5000])
def test_a_tone_stands_where_its_frequency_is(frequency: float) -> None:
    rate = 44100
    tone = np.sin(2 * np.pi * frequency * np.arange(rate) / rate).astype(np.float32)[None]
    columns = _columns(tone, 4096)
    row = int(columns.finish().sum(axis=1).argmax())
    assert columns.frequencies[row] * rate == pytest.approx(frequency, rel=0.03, abs=6)


@pytest.mark.parametrize("seconds", [10, 100, 1000])
def test_a_click_stands_where_its_time_is_however_long_the_song(seconds: int) -> None:
    rate = 8000
    samples = np.zeros((1, seconds * rate), np.float32)
    samples[0, round(0.7 * seconds * rate)] = 1
    columns = _columns(samples, 512)
    pooled = columns.finish()
    assert pooled.shape[1] <= 2000
    when = int(pooled.sum(axis=0).argmax()) * columns.hop_length / rate
    assert when == pytest.approx(0.7 * seconds, abs=2 * columns.hop_length / rate)


def test_rows_rise_and_are_fewer_than_bins() -> None:
    for n_fft in (32, 512, 4096, 16384):
        frequencies = PooledSpectrogram(n_fft).frequencies
        assert (np.diff(frequencies) > 0).all()
        assert frequencies[-1] == pytest.approx(0.5)
        assert len(frequencies) < 400


@pytest.mark.slow
def test_memory_does_not_grow_with_the_song() -> None:
    block = np.random.default_rng(0).standard_normal((2, 44100), np.float32)
    peaks = []
    for count in (20, 200):
        drawing = SpectrogramPlot(44100, "")
        tracemalloc.start()
        for _ in range(count):
            drawing.add({"vocals": block, "accompaniment": block})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 1e6


@pytest.mark.parametrize(
    ("seconds", "sample_rate", "channels", "peak"),
    [
        (0, 44100, 2, 0.0),
        (1 / 44100, 44100, 1, 0.5),
        (2, 44100, 2, 0.0),
        (1, 8000, 1, 0.5),
        (1, 192000, 6, 4.0),
    ],
)
def test_anything_can_be_drawn(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    seconds: float,
    sample_rate: int,
    channels: int,
    peak: float,
) -> None:
    song = make_song(
        tmp_path / "song.wav",
        seconds=seconds,
        sample_rate=sample_rate,
        channels=channels,
        peak=peak,
        bit_depth=32,
    )
    done = plot_file(splitter, song)
    assert done == PlotFile(
        source=song,
        path=tmp_path / "song (spectrograms).png",
        seconds=pytest.approx(seconds),
        warnings=(),
        skipped=False,
    )
    assert done.path.read_bytes().startswith(PNG)


def test_an_hour_has_ticks_and_a_label_of_hours() -> None:
    drawing = SpectrogramPlot(1000, "Long")
    block = np.zeros((1, 3_700_000), np.float32)
    drawing.add({"vocals": block, "accompaniment": block})
    figure = drawing._draw()
    figure.draw_without_rendering()
    axis = figure.axes[2]
    assert axis.get_xlabel() == "Time (h:min:s)"
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert "0:10:00" in labels
    assert len(labels) < 15


@pytest.mark.slow
@pytest.mark.parametrize(
    "title", ["", "A$AP $ave $x^2$", "日本語の歌 עברית", "x" * 500, "a\nb\tc", "\udcff"]
)
def test_any_title_is_one_line_without_warnings(tmp_path: Path, title: str) -> None:
    block = np.zeros((1, 100), np.float32)
    drawing = SpectrogramPlot(44100, title)
    drawing.add({"vocals": block, "accompaniment": block})
    drawing.save(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(PNG)


def test_letters_that_no_font_has_become_boxes() -> None:
    text, _ = plot._drawable("café \U000fffff")
    assert text == "café □"


def test_the_title_comes_from_the_tags(
    songs: list[Path], make_song: MakeSong, tmp_path: Path
) -> None:
    fantasma = next(path for path in songs if "fantasma" in path.name)
    assert song_title(fantasma) == "Los Rombos: Fantasma"
    assert song_title(make_song(tmp_path / "my song.wav")) == "my song"


def test_existing_pictures_are_an_error_or_replaced_or_kept(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=0.1)
    picture = tmp_path / "new" / "picture.png"
    plot_file(splitter, song, picture)
    picture.write_text("mine")
    with pytest.raises(UnmixError, match="--overwrite"):
        plot_file(splitter, song, picture)
    assert plot_file(splitter, song, picture, existing="skip").skipped
    assert picture.read_text() == "mine"
    plot_file(splitter, song, picture, existing="overwrite")
    assert picture.read_bytes().startswith(PNG)
    with pytest.raises(UnmixError, match="choose from error, overwrite, skip"):
        plot_file(splitter, song, picture, existing="bogus")  # type: ignore[arg-type]


def test_failures_leave_nothing(
    splitter: StemSeparator, make_song: MakeSong, tricky: Path, tmp_path: Path, tree: Tree
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=3)
    before = tree(tmp_path)

    def cancel(fraction: float) -> None:
        if fraction > 0.3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        plot_file(splitter, song, tmp_path / "new" / "picture.png", progress=cancel)
    with pytest.raises(AudioError, match="cut short"):
        plot_file(splitter, tricky / "truncated.flac", tmp_path / "a.png", strict=True)
    with pytest.raises(AudioError, match="cannot be written"):
        plot_file(splitter, song, song / "picture.png")
    assert tree(tmp_path) == before


def test_a_model_without_vocals_is_refused(make_song: MakeSong, tmp_path: Path) -> None:
    class Drums:
        stems = ("drums", "residual")
        model_name = "drummer"

        def stream(
            self, blocks: Iterable[Samples], sample_rate: int
        ) -> Iterator[dict[str, Samples]]:
            yield from ({"drums": block, "residual": block} for block in blocks)

    with pytest.raises(UnmixError, match="needs vocals and accompaniment, not drums"):
        plot_file(Drums(), make_song(tmp_path / "song.wav"))
