"""Write the manifest of released models, and the table of models in ``pretrained/README.md``."""

from __future__ import annotations

import json
from typing import Any

from unmix.config import read_toml, validate
from unmix.weights.manifest import Manifest, ModelEntry, Score

from ..tables import ROOT, MarkdownTable

PRETRAINED = ROOT / "pretrained"
TABLE = MarkdownTable(
    "models",
    PRETRAINED / "README.md",
    (
        "model",
        "stems",
        "rate",
        "size",
        "dataset, split",
        "figure",
        "vocals",
        "accompaniment",
        "licence",
    ),
    text=("model", "stems", "dataset, split", "figure", "licence"),
)
#: Metrics that the table shows, and their short names.
FIGURES = {
    "SDR (museval, 1 s frames)": "SDR",
    "NSDR (bss_eval_sources, whole clip)": "GNSDR",
}


def write_manifest(entry: ModelEntry, *, default: bool = False) -> None:
    """Add or replace a model's entry; put it first if ``default``. Then rewrite the table."""
    changed = {entry.name: entry}
    models = {known.name: known for known in _registered()} | changed
    if default:
        models = changed | models
    text = "# Written by python -m tools.release: one table per model, the default first.\n"
    text += "".join(_toml(model) for model in Manifest(models=tuple(models.values())).models)
    (PRETRAINED / "manifest.toml").write_text(text, encoding="utf-8")
    TABLE.write(models_rows())


def models_rows() -> list[list[str]]:
    """Return the rows of the table of models."""
    rows = []
    for entry in _registered():
        shown = [score for score in entry.scores if score.metric in FIGURES]
        for dataset, split, metric in dict.fromkeys(map(_subject, shown)):
            found = {
                score.stem: f"{score.value:.2f}"
                for score in shown
                if _subject(score) == (dataset, split, metric)
            }
            cells = [
                f"`{entry.name}`",
                ", ".join(entry.stems),
                f"{entry.sample_rate} Hz",
                f"{entry.size / 2**20:.1f} MiB",
                f"{dataset}, {split}",
                FIGURES[metric],
                found.get("vocals", ""),
                found.get("accompaniment", ""),
                entry.licence,
            ]
            rows.append(cells)
    return rows


def _registered() -> tuple[ModelEntry, ...]:
    path = PRETRAINED / "manifest.toml"
    return validate(Manifest, read_toml(path), str(path)).models


def _subject(score: Score) -> tuple[str, str, str]:
    return score.dataset, score.split, score.metric


def _toml(entry: ModelEntry) -> str:
    """Return one model as TOML; strings, numbers and arrays are written as in JSON."""
    fields = entry.model_dump(mode="json")
    scores = fields.pop("scores")
    lines = ["", "[[models]]", *(_line(item) for item in fields.items())]
    for score in scores:
        known = [item for item in score.items() if item[1] is not None]
        lines += ["", "[[models.scores]]", *map(_line, known)]
    return "\n".join(lines) + "\n"


def _line(item: tuple[str, Any]) -> str:
    key, value = item
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"
