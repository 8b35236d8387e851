"""The table of the family in ``unmix/models/README.md``: every recipe, and how fast it is."""

from __future__ import annotations

import argparse
from functools import partial
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

from ..tables import ROOT, MarkdownTable
from .measuring import EXCERPT, timed

TABLE = MarkdownTable(
    "family",
    ROOT / "unmix" / "models" / "README.md",
    (
        "recipe",
        "paper and architecture",
        "stems",
        "parameters",
        "CPU, s per minute",
        "CUDA, s per minute",
        "public weights",
    ),
    text=("recipe", "paper and architecture", "stems", "public weights"),
)
COLUMNS = {"cpu": 4, "cuda": 5}


def family(options: argparse.Namespace, _: Path) -> None:
    """Time every recipe on one device, and write the family table.

    Each model has random weights, which do not change its speed. It separates the project's song,
    looped, in 32 bits and in chunks that do not overlap. Times of the other device stay.
    """
    rows = TABLE.rows
    for name in track(options.only or list(recipes()), console=Console(stderr=True)):
        if is_member(name):
            rows[name] = row(name, options, rows.get(name))
    TABLE.write([rows[name] for name in recipes() if name in rows and is_member(name)])


def is_member(name: str) -> bool:
    """Return whether a recipe is a network of its own, not another use of one."""
    return not (name.endswith(("-finetune", "-semisupervised")) or name.startswith("mir1k-"))


def row(name: str, options: argparse.Namespace, before: list[str] | None) -> list[str]:
    """Return the row of a recipe; a time that is not measured now stays as it was."""
    recipe = find_architecture(name)
    torch.manual_seed(0)
    model = build(recipe.architecture, recipe.model).to(options.device)
    cells = [
        f"`{name}`",
        description(recipes()[name]),
        ", ".join(model.stems),
        f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        *(before[column] if before else "" for column in COLUMNS.values()),
        ", ".join(f"`{entry.name}`" for entry in list_published() if entry.recipe == name),
    ]
    if not options.describe:
        cells[COLUMNS[options.device]] = f"{seconds_per_minute(model, options):.3g}"
    return cells


def seconds_per_minute(model: Model, options: argparse.Namespace) -> float:
    """Return how many seconds a minute of audio takes."""
    separator = Separator(model, device=options.device, overlap=0, precision="fp32", batch_size=1)
    chunk = separator.settings.chunk
    length = -(-round(options.seconds * model.sample_rate) // chunk) * chunk
    samples, _ = read_audio(EXCERPT)
    samples = samples[: model.audio_channels, np.arange(length) % samples.shape[1]]
    separator.separate(samples[:, :chunk], model.sample_rate)  # fills caches
    work = partial(separator.separate, samples, model.sample_rate)
    seconds: float = median(timed(work) for _ in range(options.runs))
    return 60 * seconds * model.sample_rate / float(length)


def description(path: Path) -> str:
    """Return the first sentence of a recipe's opening comment."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        lines.append(line.removeprefix("#").strip())
        if line.endswith("."):
            break
    return " ".join(lines).removesuffix(".")
