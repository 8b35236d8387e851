"""python -m tools.release runs/unet/last.ckpt --name unet --data DATA ...: release weights.

Writes ``pretrained/NAME/`` from a training checkpoint (weights at 16 bits, recipe, card, pictures)
and the model's entry of the manifest. Scores are measured, never typed in;
``python -m tools.release.scores --write`` measures them again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image

from unmix import Separator, __version__
from unmix.config import validate
from unmix.errors import UnmixError
from unmix.recipes.reading import find_recipe, resolved_text
from unmix.songs.plot import plot_file
from unmix.training.checkpoint import load_checkpoint
from unmix.training.config import Recipe, read_recipe
from unmix.weights.load import load_model, save_weights
from unmix.weights.manifest import ModelEntry, Score

from ..singing import SINGING_STEMS, MeanSingingScores, score_singing
from ..tables import ROOT
from .card import card
from .manifest import PRETRAINED, write_manifest
from .splits import SPLITS, measure, scores_of


def main() -> int:
    """Release, and print where."""
    options = _parser().parse_args()
    try:
        folder = release(options)
    except UnmixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"released {folder}")
    return 0


def release(options: argparse.Namespace) -> Path:
    """Write a model's folder and its manifest entry; return the folder.

    An earlier release of the same name stays in place until everything is measured and drawn.
    """
    stages = tuple(options.stages or [options.recipe.stem])
    for stage in stages:
        find_recipe(stage)  # or the card would name a command that fails
    for file in [options.notes, *options.song]:
        if file and not file.is_file():
            raise UnmixError(f"{file}: no such file; nothing was written")
    checkpoint = load_checkpoint(options.checkpoint)
    # Validation adds the defaults of keys that are newer than the checkpoint.
    recipe = validate(Recipe, checkpoint["recipe"], str(options.checkpoint)).model_dump(mode="json")
    changes = differences(recipe, read_recipe(options.recipe).model_dump(mode="json"))
    recipe["model"] |= dict(options.calibrate)
    released: Path = PRETRAINED / options.name
    with TemporaryDirectory(prefix=f".{options.name}-", dir=PRETRAINED) as scratch:
        folder = Path(scratch) / options.name
        entry = _write(folder, checkpoint | {"recipe": recipe}, changes, stages, options)
        if released.exists():
            shutil.rmtree(released)
        folder.rename(released)
    write_manifest(entry, default=options.default)
    return released


def _write(
    folder: Path,
    checkpoint: Mapping[str, Any],
    changes: str,
    stages: tuple[str, ...],
    options: argparse.Namespace,
) -> ModelEntry:
    """Write all files of a model into a new folder; return its manifest entry."""
    recipe, weights = checkpoint["recipe"], folder / "weights.safetensors"
    state = {name: _narrow(value) for name, value in checkpoint["average"].items()}
    digest = save_weights(
        weights, recipe["architecture"], recipe["model"], state, licence=options.licence
    )
    reports = measure(folder, options.data, [SPLITS[name] for name in options.score])
    singing = [
        (dataset, split, score_singing(Separator(folder).separate, options.data / path))
        for dataset, split, path in options.singing
    ]
    model = load_model(folder)
    stems = SINGING_STEMS if singing else next((r.stems for r in reports.values()), model.stems)
    unpaired = recipe["train"]["semi_supervised"] or {"corpora": []}
    corpora = [*recipe["train"]["corpora"], *unpaired["corpora"]]
    entry = ModelEntry(
        name=options.name,
        aliases=tuple(options.alias),
        purpose=options.purpose,
        summary=options.summary,
        architecture=recipe["architecture"],
        stems=stems,
        sample_rate=model.sample_rate,
        audio_channels=model.audio_channels,
        parameters=sum(p.numel() for p in model.parameters()),
        size=weights.stat().st_size,
        sha256=digest,
        licence=options.licence,
        training_data=tuple(corpus["path"] for corpus in corpora),
        stages=stages,
        since=options.since or __version__,
        scores=(*scores_of(reports), *(s for row in singing for s in _singing_scores(*row))),
    )
    (folder / "config.toml").write_text(resolved_text(options.recipe), encoding="utf-8")
    songs = [next((ROOT / "tests" / "songs").glob("*_excerpt.ogg")), *options.song]
    pictures = ["spectrograms.png", *(f"spectrograms-{n}.png" for n in range(2, len(songs) + 1))]
    text = card(
        entry,
        checkpoint,
        reports,
        differences=changes,
        calibrated=dict(options.calibrate),
        notes=options.notes.read_text(encoding="utf-8") if options.notes else "",
        pictures=pictures,
    )
    (folder / "card.md").write_text(text, encoding="utf-8")
    separator = Separator(folder)
    for picture, song in zip(pictures, songs, strict=True):
        draw(song, folder / picture, separator)
    return entry


def differences(trained: dict[str, Any], recipe: dict[str, Any]) -> str:
    """Describe in a sentence how a run's settings differ from the recipe.

    Raises:
        UnmixError: if the recipe builds another model.
    """
    if any(trained[key] != recipe[key] for key in ("architecture", "model")):
        raise UnmixError("the checkpoint is of another model than the recipe builds")
    found = [
        f"`{key}` = {trained['train'][key]} (recipe: {value})"
        for key, value in recipe["train"].items()
        if trained["train"][key] != value
    ]
    return f"At its end the run had {', '.join(found)}." if found else ""


def draw(song: Path, picture: Path, separator: Separator) -> None:
    """Draw a song and its stems in 256 colours, which keeps the repository small."""
    plot_file(separator, song, picture, existing="overwrite")
    with Image.open(picture) as drawn:
        drawn.convert("RGB").quantize(256).save(picture, optimize=True)


def _three(text: str) -> list[str]:
    parts = text.split(":")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not DATASET:SPLIT:PATH")
    return parts


def _setting(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    return key, float(value)


def _singing_scores(dataset: str, split: str, scores: MeanSingingScores) -> list[Score]:
    figures = {"NSDR": scores.gnsdr, "SIR": scores.gsir, "SAR": scores.gsar}
    return [
        Score(
            dataset=dataset,
            split=split,
            stem=stem,
            metric=f"{name} (bss_eval_sources, whole clip)",
            aggregation="mean over clips, weighted by length",
            value=round(means[stem], 3),
        )
        for stem in SINGING_STEMS
        for name, means in figures.items()
    ]


def _narrow(value: torch.Tensor) -> torch.Tensor:
    """Return floats at 16 bits; tensors with values out of range stay as they are."""
    if not value.is_floating_point():
        return value
    half = value.half()
    return half if torch.isfinite(half).all() else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.release",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "checkpoint",
        type=Path,
        help="checkpoint of a training run; its averaged weights are released",
    )
    add("--name", required=True, help="name of the model")
    add("--alias", nargs="+", default=[], help="other names to choose it by")
    add("--purpose", required=True, help="what the model is for, in at most 18 characters")
    add("--recipe", type=Path, required=True, help="TOML file it was trained with")
    add(
        "--stages",
        nargs="+",
        metavar="RECIPE",
        help="recipes it was trained with, in order (default: RECIPE alone)",
    )
    add("--summary", required=True, help="one sentence about the model")
    add("--licence", required=True, help="licence of the weights")
    add("--data", type=Path, required=True, help="folder that recipes' paths are relative to")
    add("--score", nargs="+", choices=SPLITS, default=[], help="splits to measure")
    add(
        "--singing",
        action="append",
        type=_three,
        default=[],
        metavar="DATASET:SPLIT:PATH",
        help="measure by the protocol of MIR-1K's tables; repeatable",
    )
    add(
        "--calibrate",
        action="append",
        type=_setting,
        default=[],
        metavar="KEY=NUMBER",
        help="setting of the model found after training; repeatable",
    )
    add("--notes", type=Path, help="Markdown with sections # data, # training, # failures ...")
    add(
        "--song",
        action="append",
        type=Path,
        default=[],
        help="song to draw besides the project's own; repeatable",
    )
    add("--since", help="first version with this model (default: this version)")
    add("--default", action="store_true", help="make it the default model")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
