"""Draw a separation: the spectrograms of mixture, vocals and accompaniment."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.ticker import MultipleLocator

from .._types import Progress, Samples
from ..audio import open_audio
from ..audio.libraries import import_librosa
from ..audio.tags import read_tags
from ..errors import UnmixError
from ..stems import ACCOMPANIMENT, MIXTURE, VOCALS
from ..storage import (
    Existing,
    check_existing,
    outputs_to_write,
    put_in_place,
    staging,
    writing,
)
from .naming import beside
from .render import Result, Stems, StemSeparator
from .spectrogram import PooledSpectrogram

PLOT_MARK = "spectrograms"

_FLOOR = -80.0  # dB relative to the mixture's peak; everything softer is black
_WINDOW = 0.09  # seconds, about: long enough for the partials of a voice to stand apart
_LOWEST = 30.0  # Hz: below the lowest note of a bass
_OCTAVES = 62.5 * 2.0 ** np.arange(12)  # Hz, where there are ticks
_TICKS = (1e-3, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000)
_TITLE = 90  # characters that fit on the picture


@dataclass(frozen=True, kw_only=True)
class PlotFile(Result):
    """The result of ``plot_file``."""

    path: Path
    """The picture, a PNG."""


@np.errstate(all="ignore")
def plot_file(
    separator: StemSeparator,
    path: str | PathLike[str],
    picture: str | PathLike[str] | None = None,
    *,
    existing: Existing = "error",
    strict: bool = False,
    audio_stream: int | None = None,
    max_duration: float | None = None,
    progress: Progress | None = None,
) -> PlotFile:
    """Separate a song and draw its spectrograms, in memory that does not grow with its length.

    Args:
        separator: what separates, into vocals and accompaniment.
        path: the song.
        picture: the PNG to write; default: ``NAME (spectrograms).png`` beside the song.
        existing: "error" refuses to replace a file, "overwrite" replaces it, "skip" keeps it.
        strict: whether a song that does not decode completely is an error; else it is a warning.
        audio_stream: index of the song's audio stream, from 0; default: the best one.
        max_duration: seconds; a longer song is an error.
        progress: called with the fraction done, in [0, 1]; an exception that it raises cancels.

    Raises:
        AudioError: the song cannot be read, or the picture cannot be written.
        UnmixError: the model does not separate vocals, or a file is in the way.
    """
    check_existing(existing)
    source = Path(path)
    target = beside(source, PLOT_MARK, "png") if picture is None else Path(picture)
    with open_audio(source, stream=audio_stream, max_duration=max_duration) as reader:
        if not outputs_to_write(source, {PLOT_MARK: target}, existing):
            return PlotFile(source=source, path=target, skipped=True)
        plot = SpectrogramPlot(reader.sample_rate, song_title(source))
        for stems in separator.stream(reader.blocks(), reader.sample_rate):
            plot.add(stems)
            if progress is not None:
                progress(min(1.0, plot.seconds / (reader.info.duration or float("inf"))))
        if strict:
            reader.check_complete()
        skipped = not plot.save(target, existing=existing)
        if progress is not None:
            progress(1.0)
        return PlotFile(
            source=source,
            path=target,
            seconds=plot.seconds,
            warnings=tuple(reader.warnings),
            shortfalls=tuple(reader.shortfalls),
            skipped=skipped,
        )


class SpectrogramPlot:
    """Collects stems as they are separated, and draws them at the end."""

    def __init__(self, sample_rate: int, title: str) -> None:
        """Start a picture.

        Args:
            sample_rate: Hz, of the song.
            title: text above the picture.
        """
        self._rate = sample_rate
        self._title = title
        self._samples = 0
        n_fft = max(32, 2 ** round(np.log2(_WINDOW * sample_rate)))
        self._rows = {name: PooledSpectrogram(n_fft) for name in (MIXTURE, VOCALS, ACCOMPANIMENT)}

    @property
    def seconds(self) -> float:
        """Length of what has been added."""
        return self._samples / self._rate

    def add(self, stems: Stems) -> None:
        """Add the next pieces ``[C, m]`` of the stems.

        Raises:
            UnmixError: vocals or accompaniment are missing.
        """
        if VOCALS not in stems or ACCOMPANIMENT not in stems:
            raise UnmixError(f"a plot needs {VOCALS} and {ACCOMPANIMENT}, not {', '.join(stems)}")
        self._samples += stems[VOCALS].shape[-1]
        self._rows[MIXTURE].push(stems[VOCALS] + stems[ACCOMPANIMENT])
        self._rows[VOCALS].push(stems[VOCALS])
        self._rows[ACCOMPANIMENT].push(stems[ACCOMPANIMENT])

    def save(self, path: Path, *, existing: Existing = "error") -> bool:
        """Write the picture and return whether it was; nothing can be added afterwards.

        Args:
            path: the PNG to write.
            existing: "error" refuses to replace a file, "overwrite" replaces it, "skip" keeps it.

        Raises:
            AudioError: the file cannot be written.
            UnmixError: it exists and may not be replaced.
        """
        figure = self._draw()
        with staging({PLOT_MARK: path}) as staged:
            with writing(path):
                figure.savefig(staged[PLOT_MARK], format="png", dpi=130)
            return not put_in_place([(staged[PLOT_MARK], path)], existing=existing)

    def _draw(self) -> Figure:
        magnitudes = {name: row.finish() for name, row in self._rows.items()}
        peak = float(magnitudes[MIXTURE].max())
        figure = Figure(figsize=(12, 9), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(magnitudes), 1, sharex=True, sharey=True)
        for axis, (name, magnitude) in zip(axes, magnitudes.items(), strict=True):
            image = import_module("librosa.display").specshow(
                _decibels(magnitude, peak),
                sr=self._rate,
                hop_length=self._rows[name].hop_length,
                y_coords=self._rows[name].frequencies * self._rate,
                x_axis="time",
                y_axis="log",
                ax=axis,
                cmap="magma",
                vmin=_FLOOR,
                vmax=0,
            )
            axis.set_title(name.capitalize(), loc="left")
            axis.set(xlabel="", ylabel="Frequency (Hz)")
        self._mark(axes[-1])
        bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01, aspect=40)
        bar.set_label("Level relative to the mixture's peak (dB)")
        if self._title:
            text, font = _drawable(self._title)
            figure.suptitle(text, fontproperties=font, fontsize=14, parse_math=False)
        return figure

    def _mark(self, axis: Axes) -> None:
        """Set limits and ticks of all axes, which are shared."""
        end = max(self.seconds, 1e-3)
        step = next((step for step in _TICKS if end / step <= 10), end)
        unit = "h:min:s" if end > 3600 else "min:s" if end > 60 else "s"
        axis.set(xlabel=f"Time ({unit})", xlim=(0, end))
        axis.xaxis.set_major_locator(MultipleLocator(step))
        lowest, highest = min(_LOWEST, self._rate / 64), self._rate / 2
        octaves = [tick for tick in _OCTAVES if lowest <= tick <= highest]
        axis.set(ylim=(lowest, highest))
        axis.set_yticks(octaves, [hertz(tick) for tick in octaves])


def hertz(frequency: float) -> str:
    """Return the label of a frequency: "50", or "2k"."""
    return f"{frequency / 1000:g}k" if frequency >= 1000 else f"{int(frequency + 0.5)}"


def song_title(path: Path) -> str:
    """Return "Artist: Title" from a song's tags, or else the name of its file."""
    tags = read_tags(path)
    if not tags.title:
        return path.stem
    return f"{tags.artist}: {tags.title}" if tags.artist else tags.title


def _decibels(magnitude: Samples, peak: float) -> Samples:
    """Return levels in dB relative to the peak, in [``_FLOOR``, 0]."""
    if peak == 0:
        return np.full_like(magnitude, _FLOOR)
    levels: Samples = import_librosa().amplitude_to_db(magnitude / peak, ref=1.0, top_db=None)
    return np.maximum(levels, _FLOOR)


def _drawable(title: str) -> tuple[str, FontProperties]:
    """Return a title of one line and fonts that have its letters; others become boxes."""
    text = " ".join(title.split())
    if len(text) > _TITLE:
        text = f"{text[: _TITLE - 1]}…"
    families = ["DejaVu Sans"]
    missing = set(text) - _letters(fontManager.findfont(families[0]))
    for font in fontManager.ttflist if missing else ():
        if font.weight not in (400, "normal") or font.name.startswith("Last Resort"):
            continue
        found = missing & _letters(font.fname)
        if found:
            families.append(font.name)
            missing -= found
    boxed = "".join("□" if letter in missing else letter for letter in text)
    return boxed, FontProperties(family=families)


def _letters(font: str) -> set[str]:
    """Return the characters that a font file has."""
    try:
        return set(map(chr, get_font(font).get_charmap()))
    except (OSError, RuntimeError, ValueError):  # a font file that matplotlib cannot read
        return set()
