"""python -m tools.release.goals DATA --model NAME: measure what SDR does not show.

For a model of vocals, on tracks whose stems are known: how far below the mixture the vocals are
where nobody sings, and the accompaniment where only the voice sounds; how far off the stems' levels
are from moment to moment; and, band by band, the energy of the vocals against the reference's and
their SDR.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from unmix import Separator
from unmix._types import Samples
from unmix.data import Track
from unmix.errors import UnmixError
from unmix.evaluation import open_dataset
from unmix.frontends import STFT
from unmix.stems import ACCOMPANIMENT, VOCALS
from unmix.weights.manifest import DEFAULT

#: Edges of the bands in Hz. Many published models return nothing above 11 or 16 kHz.
EDGES = (0, 1000, 4000, 8000, 11000, 16000, 22050)
_N_FFT = 2048
# Length in s of moments whose levels are compared, and how far in dB the reference may be below
# its loudest moment for one to count.
_MOMENT, _HEARD = 0.1, 40.0
# Added to energies so that silence has a level: 120 dB below full scale.
_FLOOR = 1e-12


def main() -> None:
    """Measure, and print three tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="data set, as for unmix evaluate --data")
    parser.add_argument("--split")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--quality", default="balanced")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    try:
        _report(options)
    except UnmixError as error:
        raise SystemExit(f"error: {error}") from None


def _report(options: argparse.Namespace) -> None:
    separator = Separator(options.model, quality=options.quality, device=options.device)
    dataset = open_dataset(options.data, options.split)
    alone, levels, bands = [], [], []
    for track in dataset.tracks:
        references, rate = _read(track)
        alone.append([leak(separator, references, rate, stem) for stem in references])
        estimates = separator.separate(sum(references.values()), rate)
        levels.append([level_errors(references[s], estimates[s], rate) for s in references])
        bands.append(bands_of(references[VOCALS], estimates[VOCALS], rate))
    console = Console()
    console.print(_alone_table(separator.model_name, np.array(alone)))
    console.print(_levels_table(separator.model_name, np.array(levels)))
    console.print(_bands_table(separator.model_name, np.array(bands)))


def _read(track: Track) -> tuple[dict[str, Samples], int]:
    file = next(iter(track.stems.values()))
    rate, length = file.sample_rate, file.length
    return {s: track.read(s, 0, length, rate, 2) for s in (VOCALS, ACCOMPANIMENT)}, rate


def leak(separator: Separator, references: dict[str, Samples], rate: int, sounding: str) -> float:
    """Return the level of the silent stem in dB, relative to a mixture of only the other stem.

    NaN if that stem is silent too.
    """
    mixture = references[sounding]
    (silent,) = set(references) - {sounding}
    power = float(np.square(mixture).mean())
    if power < _FLOOR:
        return float("nan")
    found = separator.separate(mixture, rate)[silent]
    return float(10 * np.log10((np.square(found).mean() + _FLOOR) / power))


def level_errors(reference: Samples, estimate: Samples, rate: int) -> NDArray[np.float64]:
    """Return the error of the level in dB ``[2]``: median and 95th percentile over moments.

    NaN if the reference is silent.
    """
    size = round(_MOMENT * rate)
    whole = reference.shape[-1] // size * size
    wanted, found = (
        np.square(samples[:, :whole], dtype=np.float64).reshape(2, -1, size).mean((0, 2)) + _FLOOR
        for samples in (reference, estimate)
    )
    heard = wanted > max(_FLOOR * 10, wanted.max() * 10 ** (-_HEARD / 10))
    if not heard.any():
        return np.full(2, np.nan)
    apart = np.abs(10 * np.log10(found[heard] / wanted[heard]))
    return np.asarray(np.percentile(apart, [50, 95]), np.float64)


def bands_of(vocals: Samples, estimate: Samples, rate: int) -> NDArray[np.float64]:
    """Return the energies of reference, estimate and error of the vocals ``[band, 3]``."""
    stft = STFT(_N_FFT, _N_FFT // 4)
    frequencies = stft.frequencies(rate).numpy()
    energies = [
        stft(torch.from_numpy(samples)).abs().square().sum((0, 2)).double().numpy()
        for samples in (vocals, estimate, estimate - vocals)
    ]
    rows = [
        [energy[(low <= frequencies) & (frequencies < high)].sum() for energy in energies]
        for low, high in pairwise(EDGES)
    ]
    return np.array(rows)


def _alone_table(name: str, levels: NDArray[np.float64]) -> Table:
    table = Table(title=f"{name}: level of the silent stem, dB below the mixture")
    for heading in ("mixture", "silent stem", "mean", "median", "worst track"):
        table.add_column(heading, justify="left" if "st" in heading[:3] else "right")
    cases = ((VOCALS, ACCOMPANIMENT, "a cappella"), (ACCOMPANIMENT, VOCALS, "instrumental"))
    for column, (_, silent, what) in enumerate(cases):
        below = -levels[:, column][np.isfinite(levels[:, column])]
        figures: Sequence[float] = (below.mean(), float(np.median(below)), below.min())
        table.add_row(what, silent, *(f"{figure:.1f}" for figure in figures))
    return table


def _levels_table(name: str, levels: NDArray[np.float64]) -> Table:
    table = Table(title=f"{name}: error of a stem's level over {_MOMENT:g} s, dB")
    for heading in ("stem", "median", "95th percentile"):
        table.add_column(heading, justify="left" if heading == "stem" else "right")
    for stem, figures in zip((VOCALS, ACCOMPANIMENT), np.nanmean(levels, 0), strict=True):
        table.add_row(stem, *(f"{figure:.1f}" for figure in figures))
    return table


def _bands_table(name: str, energies: NDArray[np.float64]) -> Table:
    table = Table(title=f"{name}: vocals by band, over all {len(energies)} tracks")
    for heading in ("kHz", "estimate against reference, dB", "SDR within the band, dB"):
        table.add_column(heading, justify="right")
    for row, (low, high) in zip(energies.sum(0), pairwise(EDGES), strict=True):
        reference, estimate, error = row + _FLOOR
        table.add_row(
            f"{low / 1000:g} to {high / 1000:g}",
            f"{10 * np.log10(estimate / reference):+.1f}",
            f"{10 * np.log10(reference / error):.1f}",
        )
    return table


if __name__ == "__main__":
    main()
