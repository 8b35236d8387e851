"""python tools/release.py runs/unet/last.ckpt --name unet --data DATA --notes notes.md: release
weights.

Turns a training checkpoint into ``pretrained/NAME/`` (weights at 16 bits, the recipe, a card) and
an entry of the manifest. Scores are measured, never typed in; ``rescore.py`` measures them again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image

from unmix import Separator, __version__
from unmix.config import validate
from unmix.errors import UnmixError
from unmix.evaluation import Report
from unmix.evaluation.singing import STEMS as SINGING_STEMS
from unmix.evaluation.singing import SingingScores, score_singing
from unmix.recipes.reading import find_recipe
from unmix.songs.plot import plot_file
from unmix.training.checkpoint import load_checkpoint
from unmix.training.config import Recipe, read_recipe
from unmix.weights.load import load_model, save_weights
from unmix.weights.manifest import ModelEntry, Score

from .card import card
from .manifest import PRETRAINED, TABLE, models_rows, write_manifest
from .scores import SPLITS, Split, measure, scores_of

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Read the arguments, release, and say what was written."""
    options = _parser().parse_args()
    try:
        folder = release(options)
    except UnmixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"released {folder}")
    return 0


def release(options: argparse.Namespace) -> Path:
    """Write the model's folder and its manifest entry; return the folder.

    Until all is measured and drawn, what was released before stays as it is.
    """
    stages = tuple(options.stages or [options.recipe.stem])
    for stage in stages:
        find_recipe(stage)  # or the card would promise a command that fails
    for file in [options.notes, *options.song]:
        if file and not file.is_file():
            raise UnmixError(f"{file}: no such file; nothing was written")
    held = load_checkpoint(options.checkpoint)
    # Through today's recipe, so that keys that came since have the values that they stand for.
    held["recipe"] = validate(Recipe, held["recipe"], str(options.checkpoint)).model_dump(
        mode="json"
    )
    changed = differences(held["recipe"], read_recipe(options.recipe).model_dump(mode="json"))
    held["recipe"]["model"] |= dict(options.calibrate)
    released = PRETRAINED / options.name
    with TemporaryDirectory(prefix=f".{options.name}-", dir=PRETRAINED) as scratch:
        folder = Path(scratch) / options.name
        entry = _make(folder, held, changed, stages, options)
        if released.exists():
            shutil.rmtree(released)
        folder.rename(released)
    write_manifest(entry, default=options.default)
    TABLE.write(models_rows())
    return released


def _make(
    folder: Path,
    held: dict[str, Any],
    changed: str,
    stages: tuple[str, ...],
    options: argparse.Namespace,
) -> ModelEntry:
    """Write everything of a model into a folder; return its entry of the manifest.

    Args:
        folder: to make.
        held: the checkpoint.
        changed: what the run had at its end and its recipe has not, as a sentence.
        stages: recipes that made it.
        options: of the command line.
    """
    recipe, weights = held["recipe"], folder / "weights.safetensors"
    state = {name: _narrow(value) for name, value in held["average"].items()}
    digest = save_weights(
        weights, recipe["architecture"], recipe["model"], state, licence=options.licence
    )
    reports = measure(folder, options.data, [SPLITS[name] for name in options.score])
    singing = {
        (dataset, split): score_singing(Separator(folder).separate, options.data / path)
        for dataset, split, path in options.singing
    }
    model = load_model(folder)
    unpaired = recipe["train"]["semi_supervised"] or {"corpora": []}
    corpora = [*recipe["train"]["corpora"], *unpaired["corpora"]]
    entry = ModelEntry(
        name=options.name,
        summary=options.summary,
        architecture=recipe["architecture"],
        stems=_stems(reports, model.stems) if not singing else SINGING_STEMS,
        sample_rate=model.sample_rate,
        audio_channels=model.audio_channels,
        parameters=sum(p.numel() for p in model.parameters()),
        size=weights.stat().st_size,
        sha256=digest,
        licence=options.licence,
        training_data=tuple(corpus["path"] for corpus in corpora),
        stages=stages,
        since=options.since or __version__,
        scores=(
            *scores_of(reports),
            *(score for key, means in singing.items() for score in _singing_scores(*key, means)),
        ),
    )
    shutil.copyfile(options.recipe, folder / "config.toml")
    songs = [next((ROOT / "tests" / "songs").glob("*_excerpt.ogg")), *options.song]
    names = ["spectrograms.png", *(f"spectrograms-{n}.png" for n in range(2, len(songs) + 1))]
    text = card(entry, held, changed, options, reports, names)
    (folder / "card.md").write_text(text, encoding="utf-8")
    separator = Separator(folder)
    for name, song in zip(names, songs, strict=True):
        draw(song, folder / name, separator)
    return entry


def differences(trained: dict[str, Any], recipe: dict[str, Any]) -> str:
    """Return, as a sentence, the settings that a run had at its end and its recipe has not.

    Raises:
        UnmixError: where the recipe would not even build the model.
    """
    if any(trained[key] != recipe[key] for key in ("architecture", "model")):
        raise UnmixError("the checkpoint is of another model than the recipe's")
    found = [
        f"`{key}` = {trained['train'][key]} (recipe: {value})"
        for key, value in recipe["train"].items()
        if trained["train"][key] != value
    ]
    return f"At its end the run had {', '.join(found)}." if found else ""


def draw(song: Path, picture: Path, separator: Separator) -> None:
    """Draw a song and its stems, in 256 colours to keep the clone small."""
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


def _singing_scores(dataset: str, split: str, scores: SingingScores) -> list[Score]:
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


def _stems(reports: dict[Split, Report], own: tuple[str, ...]) -> tuple[str, ...]:
    return next((report.stems for report in reports.values()), own)


def _narrow(value: torch.Tensor) -> torch.Tensor:
    """Return 16-bit floats, but for numbers out of their range, which stay as they are."""
    if not value.is_floating_point():
        return value
    half = value.half()
    return half if torch.isfinite(half).all() else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "checkpoint", type=Path, help="of a training run; the averaged weights are released"
    )
    parser.add_argument("--name", required=True)
    parser.add_argument("--recipe", type=Path, required=True, help="TOML file it was trained from")
    parser.add_argument(
        "--stages",
        nargs="+",
        metavar="RECIPE",
        help="recipes that made it, where the last started from the weights of others",
    )
    parser.add_argument("--summary", required=True, help="one sentence")
    parser.add_argument("--licence", required=True, help="of the weights")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that recipes are relative to"
    )
    parser.add_argument(
        "--score",
        nargs="+",
        choices=SPLITS,
        default=[],
        help="splits to measure",
    )
    parser.add_argument(
        "--singing",
        action="append",
        type=_three,
        default=[],
        metavar="DATASET:SPLIT:PATH",
        help="to measure by the protocol of MIR-1K's tables; repeat",
    )
    parser.add_argument(
        "--calibrate",
        action="append",
        type=_setting,
        default=[],
        metavar="KEY=NUMBER",
        help="a setting of the model found after training; repeat",
    )
    parser.add_argument(
        "--notes", type=Path, help="Markdown with sections # data, # training, # failures ..."
    )
    parser.add_argument(
        "--song",
        action="append",
        type=Path,
        default=[],
        help="to draw beside the one that ships with the project; repeat",
    )
    parser.add_argument("--since", help="first version that has it; this version where not given")
    parser.add_argument("--default", action="store_true", help="make it the default model")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
