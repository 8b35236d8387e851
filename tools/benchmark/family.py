"""python tools/family.py: measure every recipe, and write the family table of the README.

Each recipe is built at full size with random weights (speed does not depend on them) and separates
the song that ships with the project, looped, in chunks that do not overlap: the time is the
network's and its transforms', at 32 bits. One device is measured in one run (``--device``); figures
of the other that the README holds already stay.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from unmix import Separator
from unmix.audio import read_audio
from unmix.models import Model, build
from unmix.recipes.reading import find_architecture, recipes
from unmix.weights.manifest import list_published

from ..tables import ReadmeTable

ROOT = Path(__file__).resolve().parents[2]
EXCERPT = ROOT / "tests" / "songs" / "joshua-morin_on-the-run_excerpt.ogg"
TABLE = ReadmeTable(
    "family",
    "family.py",
    (
        "recipe",
        "paper and form",
        "stems",
        "parameters",
        "CPU, s per minute",
        "CUDA, s per minute",
        "public weights",
    ),
    text=("recipe", "paper and form", "stems", "public weights"),
)
COLUMNS = {"cpu": 4, "cuda": 5}


def main() -> int:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=COLUMNS, default="cpu")
    parser.add_argument("--seconds", type=float, default=20, help="of audio, at the least")
    parser.add_argument("--runs", type=int, default=1, help="the median of them counts")
    parser.add_argument("--only", nargs="+", metavar="RECIPE", help="leave the others as they are")
    options = parser.parse_args()
    rows = TABLE.rows
    for name in track(options.only or list(recipes()), console=Console(stderr=True)):
        if not of_the_family(name):
            continue
        rows[name] = row(name, options, rows.get(name))
    TABLE.write([rows[name] for name in recipes() if name in rows])
    return 0


def of_the_family(name: str) -> bool:
    """Return whether a recipe is a form of its own, and not a use of another one's network."""
    uses = name.endswith(("-finetune", "-semisupervised")) or name.startswith("mir1k-")
    return not uses


def row(name: str, options: argparse.Namespace, before: list[str] | None) -> list[str]:
    """Return the cells of a recipe, one of them measured now."""
    recipe = find_architecture(name)
    torch.manual_seed(0)
    model = build(recipe.architecture, recipe.model).to(options.device)
    cells = [
        f"`{name}`",
        form(recipes()[name]),
        ", ".join(model.stems),
        f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        "",
        "",
        ", ".join(f"`{entry.name}`" for entry in list_published() if entry.recipe == name),
    ]
    for column in COLUMNS.values():
        cells[column] = before[column] if before else ""
    cells[COLUMNS[options.device]] = f"{seconds_per_minute(model, options):.3g}"
    return cells


def seconds_per_minute(model: Model, options: argparse.Namespace) -> float:
    """Return how long a minute of audio takes, with nothing computed twice but the context."""
    separator = Separator(model, device=options.device, overlap=0, precision="fp32", batch_size=1)
    chunk = separator.settings.chunk
    length = -(-round(options.seconds * model.sample_rate) // chunk) * chunk
    samples, _ = read_audio(EXCERPT)
    samples = samples[: model.audio_channels, np.arange(length) % samples.shape[1]]
    separator.separate(samples[:, :chunk], model.sample_rate)  # the first run also fills caches
    taken = []
    for _ in range(options.runs):
        began = time.perf_counter()
        separator.separate(samples, model.sample_rate)
        taken.append(time.perf_counter() - began)
    return median(taken) * 60 / (length / model.sample_rate)


def form(path: Path) -> str:
    """Return the recipe's first sentence: whose idea it is, and in which form."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        lines.append(line.removeprefix("#").strip())
        if line.endswith("."):
            break
    return " ".join(lines).removesuffix(".")


if __name__ == "__main__":
    raise SystemExit(main())
