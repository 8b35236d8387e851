"""python -m tools.experiments.semisupervised DATA --out runs/semisupervised: unpaired recordings.

Measures what recordings without stems are worth. Trains the recipe ``mir1k-semisupervised`` in
three ways from every seed: on one singer's paired clips; on these and, with critics, on unpaired
recordings of others (Stoller et al. 2018); and on mixtures of the same unpaired recordings, which
is ordinary supervised training. Scores each on two unheard singers, by the protocol of MIR-1K's
tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

from rich.console import Console
from rich.table import Table

from unmix import Separator
from unmix.errors import UnmixError
from unmix.recipes.reading import find_recipe
from unmix.stems import ACCOMPANIMENT, VOCALS
from unmix.training.config import Recipe, TrainConfig, read_recipe, training_of
from unmix.training.logs import CsvLog

from ..singing import score_singing
from .mir1k import trained

RECIPE = "mir1k-semisupervised"
#: Singers of our ``test`` split.
SINGERS = ("leon", "geniusturtle")


def main() -> int:
    """Train what is not trained, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder that holds mir1k")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, help="steps per run (default: the recipe's)")
    names = list(ways(_config()))
    parser.add_argument("--ways", nargs="+", choices=names, default=names)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    try:
        gained = {
            (way, seed): score(checkpoint(way, seed, options), options)
            for seed in options.seeds
            for way in options.ways
        }
    except UnmixError as error:
        raise SystemExit(f"error: {error}") from None
    Console().print(table(gained))
    return 0


def ways(config: TrainConfig) -> dict[str, TrainConfig]:
    """Return the training settings of each way."""
    semi = config.semi_supervised
    assert semi is not None
    supervised = {"semi_supervised": semi.model_copy(update={"alpha": 0.0, "beta": 0.0})}
    sources = tuple(corpus.model_copy(update={"mixture": 0.0}) for corpus in semi.corpora)
    mixed = {
        "corpora": (*config.corpora, *sources),
        "mixing": config.mixing.model_copy(update={"coherent": 0.5}),
    }
    return {
        "paired alone": config.model_copy(update=supervised),
        "unpaired, critics": config,
        "unpaired, mixed": config.model_copy(update=supervised | mixed),
    }


def checkpoint(way: str, seed: int, options: argparse.Namespace) -> Path:
    """Train one way from one seed, or resume its run; return the last checkpoint."""
    changes = {"seed": seed} | ({"steps": options.steps} if options.steps else {})
    config = ways(_config())[way].model_copy(update=changes)
    out = options.out / f"{way.replace(', ', '-').replace(' ', '-')}-{seed}"
    return trained(_recipe(), config, out, options, CsvLog(out))


def score(path: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return the GNSDR in dB of vocals and accompaniment over the clips of all ``SINGERS``."""
    separator = Separator(path, device=options.device)
    scores = [
        score_singing(separator.separate, options.data / "mir1k" / singer, exclude=())
        for singer in SINGERS
    ]
    whole = sum(singer.seconds for singer in scores)
    return {
        stem: sum(singer.gnsdr[stem] * singer.seconds for singer in scores) / whole
        for stem in (VOCALS, ACCOMPANIMENT)
    }


def table(gained: dict[tuple[str, int], dict[str, float]]) -> Table:
    """Return the GNSDR by way and seed, and the mean over seeds."""
    seeds = list(dict.fromkeys(seed for _, seed in gained))
    made = Table(title=f"GNSDR in dB on {' and '.join(SINGERS)}, voice / accompaniment")
    made.add_column("way")
    for seed in seeds:
        made.add_column(f"seed {seed}", justify="right")
    made.add_column("mean", justify="right")
    for way in dict.fromkeys(way for way, _ in gained):
        rows = [gained[way, seed] for seed in seeds]
        means = {stem: mean(row[stem] for row in rows) for stem in rows[0]}
        made.add_row(way, *(_pair(row) for row in (*rows, means)))
    return made


def _pair(row: dict[str, float]) -> str:
    return f"{row[VOCALS]:.2f} / {row[ACCOMPANIMENT]:.2f}"


def _recipe() -> Recipe:
    return read_recipe(find_recipe(RECIPE))


def _config() -> TrainConfig:
    return training_of(_recipe(), RECIPE)


if __name__ == "__main__":
    raise SystemExit(main())
