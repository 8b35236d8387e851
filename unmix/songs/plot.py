"""A picture of a separation: the spectrograms of mixture, vocals and accompaniment.

Their columns are pooled while the song streams past: the memory does not grow with its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import librosa
import librosa.display
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from .._types import Progress
from ..audio import open_audio
from ..audio.tags import read_tags
from ..errors import AudioError, UnmixError
from ..stems import ACCOMPANIMENT, VOCALS
from ..storage import Existing, outputs_to_write, publish, staging, writing
from .naming import beside
from .render import Stems, StemSeparator

MARK = "spectrograms"
MIXTURE = "mixture"

_COLUMNS = 1000  # of a song that is long enough; at most twice as many
_SEMITONE_THIRD = 2 ** (1 / 36)  # from a row to the next one up, where bins are not wider apart
_FLOOR = -80.0  # dB below the mixture's peak: what is softer is black
_WINDOW = 0.09  # seconds, about: long enough for the partials of a voice to stand apart
_LOWEST = 30.0  # Hz: below the lowest note of a bass
_OCTAVES = 62.5 * 2.0 ** np.arange(12)  # Hz, where there are ticks
_TICKS = (1e-3, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000)
_TITLE = 90  # characters that fit on the picture


@dataclass(frozen=True, kw_only=True)
class PlotFile:
    """What ``plot_file`` did."""

    source: Path
    """The song, as it was given."""
    path: Path
    """The picture, a PNG."""
    seconds: float
    """Length of the song; 0 where skipped."""
    warnings: tuple[str, ...]
    """Sentences on what was mended or is missing."""
    skipped: bool
    """Whether the picture was there, and was kept."""


def plot_file(
    separator: StemSeparator,
    path: str | PathLike[str],
    picture: str | PathLike[str] | None = None,
    *,
    existing: Existing = "error",
    strict: bool = False,
    progress: Progress | None = None,
) -> PlotFile:
    """Separate a song, and draw its spectrograms.

    Args:
        separator: what separates, into vocals and accompaniment.
        path: the song.
        picture: the PNG to write; ``NAME (spectrograms).png`` beside the song where it is None.
        existing: "error" refuses to replace a file, "overwrite" does, "skip" leaves it.
        strict: whether a song of which a part does not decode is an error; else it is a warning.
        progress: called with the fraction done, in [0, 1]; what it raises cancels.

    Raises:
        AudioError: the song cannot be read, or the picture cannot be written.
        UnmixError: a model without vocals, or a file that is in the way.
    """
    source = Path(path)
    target = beside(source, MARK, "png") if picture is None else Path(picture)
    with open_audio(source) as reader:
        if not outputs_to_write(source, {MARK: target}, existing):
            return PlotFile(source=source, path=target, seconds=0.0, warnings=(), skipped=True)
        plot = SpectrogramPlot(reader.sample_rate, song_title(source))
        for stems in separator.stream(reader.blocks(), reader.sample_rate):
            plot.add(stems)
            if progress is not None:
                progress(min(1.0, plot.seconds / (reader.info.duration or float("inf"))))
        if strict and not reader.complete:
            raise AudioError("; ".join(reader.warnings))
        plot.save(target, overwrite=existing == "overwrite")
        if progress is not None:
            progress(1.0)
        return PlotFile(
            source=source,
            path=target,
            seconds=plot.seconds,
            warnings=tuple(reader.warnings),
            skipped=False,
        )


class SpectrogramPlot:
    """Takes stems as they are separated, and draws them at the end."""

    def __init__(self, sample_rate: int, title: str) -> None:
        """Start a picture.

        Args:
            sample_rate: of the song, in Hz.
            title: what stands above the picture.
        """
        self._rate = sample_rate
        self._title = title
        self._samples = 0
        n_fft = max(32, 2 ** round(np.log2(_WINDOW * sample_rate)))
        self._rows = {name: _Columns(n_fft) for name in (MIXTURE, VOCALS, ACCOMPANIMENT)}

    @property
    def seconds(self) -> float:
        """Length of what was added."""
        return self._samples / self._rate

    def add(self, stems: Stems) -> None:
        """Add the next pieces ``[C, m]`` of the stems, vocals and accompaniment among them.

        Raises:
            UnmixError: these are not among them.
        """
        if VOCALS not in stems or ACCOMPANIMENT not in stems:
            raise UnmixError(f"a plot needs {VOCALS} and {ACCOMPANIMENT}, not {', '.join(stems)}")
        self._samples += stems[VOCALS].shape[-1]
        self._rows[MIXTURE].push(stems[VOCALS] + stems[ACCOMPANIMENT])
        self._rows[VOCALS].push(stems[VOCALS])
        self._rows[ACCOMPANIMENT].push(stems[ACCOMPANIMENT])

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the picture; nothing can be added afterwards.

        Raises:
            AudioError: the file cannot be written.
            UnmixError: it exists, and may not be replaced.
        """
        figure = self._draw()
        with staging({MARK: path}) as staged:
            with writing(path):
                figure.savefig(staged[MARK], format="png", dpi=130)
            publish([(staged[MARK], path)], overwrite=overwrite)

    def _draw(self) -> Figure:
        magnitudes = {name: row.finish() for name, row in self._rows.items()}
        peak = float(magnitudes[MIXTURE].max())
        figure = Figure(figsize=(12, 9), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(magnitudes), 1, sharex=True, sharey=True)
        for axis, (name, magnitude) in zip(axes, magnitudes.items(), strict=True):
            image = librosa.display.specshow(
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
        """Choose limits and ticks, for all axes as they are shared."""
        end = max(self.seconds, 1e-3)
        step = next((step for step in _TICKS if end / step <= 10), end)
        unit = "h:min:s" if end > 3600 else "min:s" if end > 60 else "s"
        axis.set(xlabel=f"Time ({unit})", xlim=(0, end))
        axis.xaxis.set_major_locator(MultipleLocator(step))
        lowest, highest = min(_LOWEST, self._rate / 64), self._rate / 2
        octaves = [tick for tick in _OCTAVES if lowest <= tick <= highest]
        axis.set(ylim=(lowest, highest))
        axis.set_yticks(octaves, [_hertz(tick) for tick in octaves])


def _hertz(frequency: float) -> str:
    return f"{frequency / 1000:g}k" if frequency >= 1000 else f"{int(frequency + 0.5)}"


def song_title(path: Path) -> str:
    """Return "Artist: Title" as a song's tags have it, or else the name of its file."""
    tags = read_tags(path)
    if not tags.title:
        return path.stem
    return f"{tags.artist}: {tags.title}" if tags.artist else tags.title


class _Columns:
    """Magnitudes over frequency and time, in columns that each hold the peaks of some frames.

    When there are too many columns, each two become one: a song of any length takes the same room.
    """

    def __init__(self, n_fft: int) -> None:
        self._n_fft = n_fft
        self._bins = _row_edges(n_fft)
        self._pooled = 1  # frames in a column
        self._columns = np.zeros((len(self._bins), 2 * _COLUMNS), np.float32)
        self._count = 0
        self._frames = np.zeros((len(self._bins), 0), np.float32)  # less than a column
        self._samples: NDArray[np.float32] | None = None  # [C, n], less than a window

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Middle of each row, as a share of the sample rate."""
        ends = np.append(self._bins[1:], self._n_fft // 2 + 1)
        middles: NDArray[np.float64] = (self._bins + ends - 1) / 2 / self._n_fft
        return middles

    @property
    def hop_length(self) -> int:
        """Samples from a column to the next."""
        return self._n_fft // 4 * self._pooled

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take samples ``[C, n]``."""
        if self._samples is None:
            # Centres the first window on the first sample.
            self._samples = np.zeros((samples.shape[0], self._n_fft // 2), np.float32)
        for start in range(0, samples.shape[1], 1 << 16):
            piece = samples[:, start : start + (1 << 16)]
            self._transform(np.concatenate([self._samples, piece], axis=1))

    def finish(self) -> NDArray[np.float32]:
        """Return the columns ``[F, T]``, T >= 2."""
        if self._samples is not None:
            self._transform(np.pad(self._samples, ((0, 0), (0, self._n_fft // 2 + 1))))
        if self._frames.shape[1]:
            self._pool(np.zeros((len(self._frames), -self._frames.shape[1] % self._pooled)))
        return self._columns[:, : max(self._count, 2)]

    def _transform(self, samples: NDArray[np.float32]) -> None:
        hop = self._n_fft // 4
        count = max(0, 1 + (samples.shape[1] - self._n_fft) // hop)
        self._samples = samples[:, count * hop :]
        if count:
            frames = librosa.stft(samples, n_fft=self._n_fft, hop_length=hop, center=False)
            # The mean power of the channels: out of phase, they do not cancel.
            power = np.mean(np.abs(frames) ** 2, axis=0)
            self._pool(np.sqrt(np.maximum.reduceat(power, self._bins, axis=0)))

    def _pool(self, magnitude: NDArray[np.floating]) -> None:
        frames = np.concatenate([self._frames, magnitude], axis=1)
        most = self._columns.shape[1]
        while frames.shape[1] >= self._pooled:
            room = most - self._count
            fresh = min(frames.shape[1] // self._pooled, room)
            taken = frames[:, : fresh * self._pooled].reshape(len(frames), fresh, self._pooled)
            self._columns[:, self._count : self._count + fresh] = taken.max(axis=2)
            self._count += fresh
            frames = frames[:, fresh * self._pooled :]
            if self._count == most:
                halves = self._columns.reshape(len(frames), most // 2, 2).max(axis=2)
                self._columns[:, : most // 2] = halves
                self._count = most // 2
                self._pooled *= 2
        self._frames = frames.astype(np.float32)


def _row_edges(n_fft: int) -> NDArray[np.int64]:
    """Return the first bin of each row: evenly spaced in pitch, as far as there are bins."""
    top = n_fft // 2
    count = 1 + round(np.log(top) / np.log(_SEMITONE_THIRD))
    return np.unique(np.geomspace(1, top, count).round().astype(np.int64))


def _decibels(magnitude: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    """Return levels in dB, at most 0 for the peak and at least the floor."""
    if peak == 0:
        return np.full_like(magnitude, _FLOOR)
    levels: NDArray[np.float32] = librosa.amplitude_to_db(magnitude / peak, ref=1.0, top_db=None)
    return np.maximum(levels, _FLOOR)


def _drawable(title: str) -> tuple[str, FontProperties]:
    """Return a title of one line, and fonts that have its letters; a box is one that none has."""
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
