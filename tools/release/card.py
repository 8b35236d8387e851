"""What ``release.py`` and ``rescore.py`` write about a model: its card in Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from unmix.errors import UnmixError
from unmix.evaluation import Report
from unmix.weights.manifest import ModelEntry, Score

from .scores import QUALITY, Split

# What a card says between them is measured, and can be measured again.
_BEGIN, _END = "<!-- scores: written by tools/release.py and rescore.py -->", "<!-- /scores -->"


def card(
    entry: ModelEntry,
    held: dict[str, Any],
    changed: str,
    options: argparse.Namespace,
    reports: dict[Split, Report],
    pictures: Sequence[str],
) -> str:
    """Return the model's card in Markdown: what anyone must know before using the weights.

    Args:
        entry: of the manifest.
        held: the checkpoint.
        changed: what the run had at its end and its recipe has not, as a sentence.
        options: of the command line.
        reports: by what was measured.
        pictures: names of the files beside the card.
    """
    train = held["recipe"]["train"]
    notes = options.notes.read_text(encoding="utf-8") if options.notes else ""
    sections = _sections(notes)
    return f"""# {entry.name}

{entry.summary}

## What it does

Splits a recording into {" and ".join(entry.stems)}. Architecture `{entry.architecture}`,
{entry.parameters:,} parameters, {entry.sample_rate} Hz, {entry.audio_channels} channels,
{entry.size / 2**20:.1f} MiB (sha256 `{entry.sha256}`).

## Data and its licence

{sections.get("data", "").strip()}

Licence of the weights: {entry.licence}.

## Training

Recipe: `config.toml` beside this card; seed {train["seed"]}, {held["step"]} steps of
{train["batch_size"]} excerpts in each process{_minutes(held)}. {changed}{_calibrated(options)}
Retrain with `python tools/retrain.py {entry.name} --data DATA --out RUNS`{_stages(entry)}.

{sections.get("training", "").strip()}

## Scores

{_scores(entry, reports)}

{sections.get("scores", "").strip()}

## Pictures

The mixture, then what the model makes of it.

{_pictures(pictures)}
{sections.get("pictures", "").strip()}

## Known failures

{sections.get("failures", "").strip()}

## How to cite

{sections.get("cite", "").strip()}
"""


def with_scores(text: str, entry: ModelEntry, reports: dict[Split, Report]) -> str:
    """Return a card with other scores, those of an entry and of the reports that they come from.

    Raises:
        UnmixError: where the card has no place for them.
    """
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not begin or not end:
        raise UnmixError(f"the card of {entry.name} has no scores between {_BEGIN} and {_END}")
    return head + _scores(entry, reports) + tail


def _scores(entry: ModelEntry, reports: dict[Split, Report]) -> str:
    rows = "\n".join(_row(score) for score in entry.scores)
    return f"""{_BEGIN}

Measured on these weights at quality `{QUALITY}`; in dB.

| dataset | split | stem | metric | aggregation | score (95 % interval over tracks) |
|---|---|---|---|---|---|
{rows}

{_tracks(reports)}
{_END}"""


def _stages(entry: ModelEntry) -> str:
    if len(entry.stages) == 1:
        return ""
    return ": " + ", then ".join(f"`{stage}`" for stage in entry.stages)


def _minutes(held: dict[str, Any]) -> str:
    seconds = held.get("seconds", 0.0)  # older checkpoints do not tell
    return f" in {seconds / 60:.0f} minutes" if seconds else ""


def _calibrated(options: argparse.Namespace) -> str:
    settings = ", ".join(f"`{key}` = {value}" for key, value in options.calibrate)
    return f" Set after training, on the split `dev`: {settings}." if settings else ""


def _pictures(names: Sequence[str]) -> str:
    return "\n".join(f"![Spectrograms of a song and its stems]({name})\n" for name in names)


def _tracks(reports: dict[Split, Report]) -> str:
    """Return how many tracks each split has, and how they spread."""
    lines = []
    for split, report in reports.items():
        for stem in report.stems:
            values = sorted(report.values(stem, "bss_sdr").values())
            if not values:  # silent references have none
                continue
            lines.append(
                f"- {split.dataset} {split.split}, {stem}: {len(values)} of {len(report.tracks)} "
                f"tracks, from {values[0]:.2f} to {values[-1]:.2f} dB (SDR of museval, per track)"
            )
    return "\n".join(lines) + "\n"


def _row(score: Score) -> str:
    cells = (score.dataset, score.split, score.stem, score.metric, score.aggregation)
    interval = f" ({score.low:.2f} to {score.high:.2f})" if score.low is not None else ""
    return f"| {' | '.join(cells)} | {score.value:.2f}{interval} |"


def _sections(notes: str) -> dict[str, str]:
    """Return the parts of a notes file, by their ``# name`` headings."""
    parts: dict[str, str] = {}
    for part in ("\n" + notes).split("\n# ")[1:]:
        heading, _, body = part.partition("\n")
        parts[heading.strip().lower()] = body
    return parts
