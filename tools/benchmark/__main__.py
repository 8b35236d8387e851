"""python tools/benchmark.py speed|memory|start|train|corpus|evaluate|report: how fast a song is
separated, in how much memory, how soon a command begins, how fast a recipe trains, in how much
memory on corpora of several sizes, how fast estimates are scored, and in how much memory.

Figures of one run belong together: machines differ, and the same machine differs from hour to hour.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from unmix import Separator
from unmix.audio import AudioWriter, OutputFormat, read_audio
from unmix.data import STEMS, CorpusConfig
from unmix.devices import autocast, choose_device, flushed_denormals
from unmix.models import Model, build
from unmix.recipes.reading import find_recipe
from unmix.separation.separator import QUALITIES
from unmix.training.batches import batches
from unmix.training.config import TrainConfig, read_recipe
from unmix.training.dry_run import rehearse
from unmix.training.run import Run
from unmix.weights.manifest import DEFAULT

from . import evaluate, museval, starting
from .measuring import looped, peak_of, timed

ROOT = Path(__file__).resolve().parents[2]
EXCERPT = ROOT / "tests" / "songs" / "joshua-morin_on-the-run_excerpt.ogg"


def main() -> int:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    verbs = parser.add_subparsers(required=True)
    speed_parser = verbs.add_parser("speed", help="seconds of audio per second of work")
    speed_parser.add_argument(
        "--song", type=Path, default=EXCERPT, help="played until --seconds are full"
    )
    speed_parser.add_argument("--seconds", type=float, default=180)
    speed_parser.add_argument("--runs", type=int, default=3)
    speed_parser.add_argument("--device", default="auto")
    speed_parser.set_defaults(measure=speed)
    memory_parser = verbs.add_parser("memory", help="peak resident memory, by length of the file")
    memory_parser.add_argument("--song", type=Path, default=EXCERPT)
    memory_parser.add_argument("--minutes", type=float, nargs="+", default=[10, 180])
    memory_parser.set_defaults(measure=memory)
    for one in (speed_parser, memory_parser):
        one.add_argument("--model", default=DEFAULT)
        one.add_argument(
            "--folder", type=Path, help="for temporary files; needs room for long ones"
        )
    start_parser = verbs.add_parser("start", help="seconds before a command does anything")
    starting.add_arguments(start_parser)
    start_parser.set_defaults(measure=starting.start, folder=None)
    train_parser = verbs.add_parser(
        "train", help="training steps per second, and the loader's share"
    )
    train_parser.add_argument("recipes", nargs="+", metavar="RECIPE")
    train_parser.add_argument("--data", type=Path, help="noise is trained on where not given")
    train_parser.add_argument("--steps", type=int, default=5, help="to measure")
    train_parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    train_parser.add_argument("--precision", help="instead of the recipe's")
    train_parser.add_argument("--compile", action="store_true")
    train_parser.add_argument("--workers", type=int, default=2)
    train_parser.add_argument("--device", default="auto")
    train_parser.add_argument("--folder", type=Path, help="for temporary files")
    train_parser.set_defaults(measure=train)
    corpus_parser = verbs.add_parser("corpus", help="the trainer's peak memory, by tracks")
    corpus_parser.add_argument("--recipe", default="unet-16khz", help="that trains on MUSDB18")
    corpus_parser.add_argument("--tracks", type=int, nargs="+", default=[10, 1000])
    corpus_parser.add_argument("--steps", type=int, default=20)
    corpus_parser.add_argument("--folder", type=Path, help="for temporary files")
    corpus_parser.set_defaults(measure=corpus)
    evaluate_parser = verbs.add_parser("evaluate", help="BSS Eval of ours against museval")
    museval.add_arguments(evaluate_parser)
    evaluate_parser.set_defaults(measure=museval.evaluate, folder=None)
    report_parser = verbs.add_parser("report", help="peak memory of unmix evaluate, by length")
    evaluate.add_arguments(report_parser)
    report_parser.set_defaults(measure=evaluate.report)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        options.measure(options, Path(folder))
    return 0


def speed(options: argparse.Namespace, folder: Path) -> None:
    """Measure a song from file to files at every quality, and the parts of the way on their own."""
    song = looped(options.song, options.seconds, folder / "song.wav")
    samples, rate = read_audio(song)
    model = Separator(options.model, device=options.device)
    table = Table(title=f"{options.seconds:.0f} s of stereo at {rate} Hz on {machine(model)}")
    for heading in ("what", "seconds", "times real time"):
        table.add_column(heading, justify="left" if heading == "what" else "right")

    def add(what: str, work: Callable[[], object]) -> None:
        work()  # the first run also fills caches
        taken = median(timed(work) for _ in range(options.runs))
        table.add_row(what, f"{taken:.2f}", f"{options.seconds / taken:.1f}")

    for quality in QUALITIES:
        separator = Separator(options.model, device=options.device, quality=quality)
        what = f"{quality}: decode, separate, encode ({separator.settings.precision})"
        add(what, lambda s=separator: separate_file(s, song, folder / "out"))
    add("balanced: separate alone", lambda: model.separate(samples, rate))
    for precision in ("fp32", "bf16"):
        add(
            f"network and STFTs alone ({precision})", lambda p=precision: network(model, samples, p)
        )
    add("decode alone", lambda: read_audio(song))
    Console().print(table)


def separate_file(separator: Separator, song: Path, out: Path) -> None:
    """Separate a song into 16-bit WAV files."""
    separator.separate_file(song, out, existing="overwrite")


def network(separator: Separator, samples: np.ndarray, precision: str) -> None:
    """Run the model over a recording in chunks that do not overlap."""
    model, chunk = separator.model, separator.settings.chunk
    count = samples.shape[1] // chunk
    chunks = torch.from_numpy(samples[:, : count * chunk]).reshape(2, count, chunk).transpose(0, 1)
    with torch.inference_mode(), flushed_denormals(), autocast(separator.device, precision):
        for batch in chunks.split(separator.settings.batch_size):
            model(batch.to(separator.device)).cpu()


def memory(options: argparse.Namespace, folder: Path) -> None:
    """Measure the command line's peak resident memory on files of several lengths."""
    table = Table(title=f"Peak resident memory on {platform.machine()}, {options.model} model")
    for heading in ("minutes", "peak, MiB", "against the first", "seconds", "times real time"):
        table.add_column(heading, justify="right")
    first = 0.0
    for minutes in options.minutes:
        song = looped(options.song, 60 * minutes, folder / "song.wav")
        began = time.perf_counter()
        peak = peak_of(
            [
                sys.executable,
                "-m",
                "unmix",
                "separate",
                str(song),
                "-o",
                str(folder / "out"),
                "--model",
                options.model,
                "--device",
                "cpu",
                "--overwrite",
            ]
        )
        taken = time.perf_counter() - began
        first = first or peak
        table.add_row(
            f"{minutes:g}",
            f"{peak:.0f}",
            f"{peak / first:.3f}",
            f"{taken:.0f}",
            f"{60 * minutes / taken:.1f}",
        )
        song.unlink()
    Console().print(table)


def corpus(options: argparse.Namespace, folder: Path) -> None:
    """Measure the trainer's peak resident memory on corpora of several sizes.

    The tracks are a minute of noise each: one file by many names, so that no disk is filled.
    """
    recipe = read_recipe(find_recipe(options.recipe))
    write_noise(folder / "track", build(recipe.architecture, recipe.model))
    table = Table(title=f"Training of {options.recipe}, {options.steps} steps, on {place('cpu')}")
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
        command = [sys.executable, "-m", "unmix", "train", options.recipe]
        command += ["--data", str(data), "--out", str(data / "out"), "--device", "cpu"]
        peak = peak_of(
            [*command, "--steps", str(options.steps), "--workers", "0", "--batch-size", "4"]
        )
        first = first or peak
        table.add_row(str(count), f"{peak:.0f}", f"{peak / first:.3f}")
    Console().print(table)


def train(options: argparse.Namespace, folder: Path) -> None:
    """Measure steps without loading, loading without steps, and how much of the loader they need.

    A share of 100 % or more means that the steps wait for the loader: give it more workers, or pack
    the corpus.
    """
    device = choose_device(options.device).type
    table = Table(title=f"Training on {place(device)}, {options.workers} workers")
    headings = ("precision", "items a step", "steps/s", "items/s", "loader, items/s", "its share")
    table.add_column("recipe")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name in options.recipes:
        run = run_of(name, options, folder, device)
        step = rehearse(run, options.steps)
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
    """Return a run of a recipe on its own data, or on noise."""
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
    """Write a track of a minute, with every stem that any recipe has."""
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
    """Return items per second of the loader alone, for about ten seconds."""
    batch = run.train.batch_size
    ahead = 4 * max(run.workers, 1)  # what the workers load before the first is asked for
    count = max(3 * ahead, round(10 * max(run.workers, 1) / (batch * item_seconds)))
    config = run.train.model_copy(update={"steps": count, "accumulate": 1})
    run = replace(run, train=config)
    model = build(run.recipe.architecture, run.recipe.model)
    stream = batches(run, model, torch.device("cpu"))
    next(stream)
    began = time.perf_counter()
    loaded = sum(batch for _ in stream)
    return loaded / (time.perf_counter() - began)


def machine(separator: Separator) -> str:
    """Return what was measured on."""
    return place(separator.device.type)


def place(device: str) -> str:
    """Return what a kind of device is here."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    raise SystemExit(main())
