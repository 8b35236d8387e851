"""Speed of training, the loader's share, and the trainer's memory by size of the corpus."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from unmix.audio import AudioWriter, OutputFormat
from unmix.data import STEMS, CorpusConfig
from unmix.devices import choose_device
from unmix.models import Model, build
from unmix.recipes.reading import find_recipe
from unmix.training.batches import batches
from unmix.training.config import TrainConfig, read_recipe
from unmix.training.dry_run import dry_run
from unmix.training.run import Run

from .measuring import machine, peak_of


def train(options: argparse.Namespace, folder: Path) -> None:
    """Time steps without loading and loading without steps.

    If a step needs 100 % of the loader's time or more, steps wait for the loader: use more workers,
    or pack the corpus.
    """
    device = choose_device(options.device).type
    table = Table(title=f"Training on {machine(device)}, {options.workers} workers")
    headings = ("precision", "items a step", "steps/s", "items/s", "loader, items/s", "its share")
    table.add_column("recipe")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name in options.recipes:
        run = run_of(name, options, folder, device)
        step = dry_run(run, options.steps)
        items = run.train.batch_size * run.train.accumulate
        loaded = loader_speed(run, step.item_seconds)
        table.add_row(
            name,
            step.precision,
            str(items),
            f"{1 / step.step_seconds:.2f}",
            f"{items / step.step_seconds:.1f}",
            f"{loaded:.1f}",
            f"{100 * items / step.step_seconds / loaded:.0f} %",
        )
    Console().print(table)


def run_of(name: str, options: argparse.Namespace, folder: Path, device: str) -> Run:
    """Return a run of a recipe on its own data, or on noise if there is none."""
    recipe = read_recipe(find_recipe(name))
    changes = {"batch_size": options.batch_size, "precision": options.precision}
    changes = {key: value for key, value in changes.items() if value}
    if options.data is None or recipe.train is None:
        stem = find_recipe(name).stem
        corpus = CorpusConfig(path=stem, vocals=1, accompaniment=1, coherent=1)
        changes |= {"corpora": (corpus,), "validation": ()}
        if recipe.train and recipe.train.semi_supervised:
            unpaired = corpus.model_copy(update={"coherent": 0.0, "mixture": 1.0})
            semi = recipe.train.semi_supervised.model_copy(update={"corpora": (unpaired,)})
            changes["semi_supervised"] = semi
        model = build(recipe.architecture, recipe.model)
        write_noise(folder / stem / "track", model)
    config = recipe.train or TrainConfig(steps=1000, corpora=changes["corpora"])
    config = config.model_copy(update=changes | {"compile": options.compile})
    return Run(
        recipe=recipe.model_copy(update={"train": config}),
        train=config,
        data=options.data if "corpora" not in changes else folder,
        out=folder / "out",
        workers=options.workers,
        device=device,
    )


def write_noise(folder: Path, model: Model) -> None:
    """Write a minute of noise for every stem that a recipe may ask for."""
    random = np.random.default_rng(0)
    stems = {*STEMS, *model.stems} - {"accompaniment", "mixture"}
    for stem in sorted(stems):
        samples = random.normal(0, 0.1, (model.audio_channels, 60 * model.sample_rate))
        folder.mkdir(parents=True, exist_ok=True)
        with AudioWriter(
            folder / f"{stem}.wav",
            sample_rate=model.sample_rate,
            channels=model.audio_channels,
            format=OutputFormat.parse("wav"),
        ) as writer:
            writer.write(samples.astype(np.float32))


def loader_speed(run: Run, item_seconds: float) -> float:
    """Return items per second of the loader alone, measured for about ten seconds."""
    batch = run.train.batch_size
    ahead = 4 * max(run.workers, 1)  # batches the workers load in advance
    count = max(3 * ahead, round(10 * max(run.workers, 1) / (batch * item_seconds)))
    config = run.train.model_copy(update={"steps": count, "accumulate": 1})
    run = replace(run, train=config)
    model = build(run.recipe.architecture, run.recipe.model)
    stream = batches(run, model, torch.device("cpu"))
    next(stream)
    began = time.perf_counter()
    loaded = sum(batch for _ in stream)
    return loaded / (time.perf_counter() - began)


def corpus(options: argparse.Namespace, folder: Path) -> None:
    """Measure the trainer's peak resident memory on corpora of several sizes.

    Each track is a minute of noise: hard links to one file, which take no room.
    """
    recipe = read_recipe(find_recipe(options.recipe))
    write_noise(folder / "track", build(recipe.architecture, recipe.model))
    table = Table(title=f"Training of {options.recipe}, {options.steps} steps, on {machine('cpu')}")
    for heading in ("tracks", "peak, MiB", "against the first"):
        table.add_column(heading, justify="right")
    first = 0.0
    for count in options.tracks:
        data = folder / str(count)
        for split, tracks in (("train", count), ("dev", 1)):
            for number in range(tracks):
                track = data / "musdb18-7" / split / f"{number:05}"
                track.mkdir(parents=True)
                for file in (folder / "track").iterdir():
                    (track / file.name).hardlink_to(file)
        command = ["train", options.recipe, "--data", str(data), "--out", str(data / "out")]
        command += ["--device", "cpu", "--workers", "0", "--batch-size", "4"]
        peak = peak_of([*command, "--steps", str(options.steps)])
        first = first or peak
        table.add_row(str(count), f"{peak:.0f}", f"{peak / first:.3f}")
    Console().print(table)
