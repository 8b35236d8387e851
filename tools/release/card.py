"""A model's card: what to know before using its weights, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unmix.errors import UnmixError
from unmix.evaluation import Report
from unmix.weights.manifest import ModelEntry, Score

from ..tables import split
from .splits import QUALITY, Split


def card(
    entry: ModelEntry,
    checkpoint: Mapping[str, Any],
    reports: Mapping[Split, Report],
    *,
    differences: str = "",
    calibrated: Mapping[str, float] | None = None,
    notes: str = "",
    pictures: Sequence[str] = (),
) -> str:
    """Return a model's card.

    Args:
        entry: of the manifest.
        checkpoint: of the training run.
        reports: by split.
        differences: between the run's settings at its end and the recipe, as a sentence.
        calibrated: settings of the model that were set after training.
        notes: Markdown with the sections ``# data``, ``# training``, ``# scores``, ``# pictures``,
            ``# failures`` and ``# cite``, each optional.
        pictures: names of files beside the card.
    """
    train = checkpoint["recipe"]["train"]
    channels = "channel" if entry.audio_channels == 1 else "channels"
    sections = _sections(notes)
    return f"""# {entry.name}

{entry.summary}

## What it does

Splits a recording into {", ".join(entry.stems[:-1])} and {entry.stems[-1]}. Architecture
`{entry.architecture}`, {entry.parameters:,} parameters, {entry.sample_rate} Hz,
{entry.audio_channels} {channels}, {entry.size / 2**20:.1f} MiB (sha256 `{entry.sha256}`).

## Data and its licence

{sections.get("data", "")}

Licence of the weights: {entry.licence}.

## Training

Recipe: `config.toml` beside this card; seed {train["seed"]}, {checkpoint["step"]} steps of
{train["batch_size"]} excerpts in each process{_minutes(checkpoint)}. {differences}\
{_set(calibrated)}
Retrain with `python -m tools.release.retrain {entry.name} --data DATA --out RUNS`{_stages(entry)}.

{sections.get("training", "")}

## Scores

<!-- scores: written by python -m tools.release -->{_scores(entry, reports)}<!-- /scores -->

{sections.get("scores", "")}

## Pictures

The mixture, then the model's stems.

{_pictures(pictures)}
{sections.get("pictures", "")}

## Known failures

{sections.get("failures", "")}

## How to cite

{sections.get("cite", "")}
"""


def with_scores(text: str, entry: ModelEntry, reports: Mapping[Split, Report]) -> str:
    """Return a card with its scores replaced by those of an entry and the reports behind them.

    Raises:
        UnmixError: if the card has no place for scores.
    """
    try:
        head, _, tail = split(text, "scores", Path(entry.name, "card.md"))
    except ValueError as error:
        raise UnmixError(str(error)) from None
    return head + _scores(entry, reports) + tail


def _scores(entry: ModelEntry, reports: Mapping[Split, Report]) -> str:
    rows = "\n".join(_row(score) for score in entry.scores)
    return f"""

Measured on these weights at quality `{QUALITY}`; in dB.

| dataset | split | stem | metric | aggregation | score (95 % interval over tracks) |
|---|---|---|---|---|---|
{rows}

{_tracks(reports)}
"""


def _stages(entry: ModelEntry) -> str:
    if len(entry.stages) == 1:
        return ""
    return ": " + ", then ".join(f"`{stage}`" for stage in entry.stages)


def _minutes(checkpoint: Mapping[str, Any]) -> str:
    seconds = checkpoint.get("seconds", 0.0)  # missing in older checkpoints
    return f" in {seconds / 60:.0f} minutes" if seconds else ""


def _set(calibrated: Mapping[str, float] | None) -> str:
    settings = ", ".join(f"`{key}` = {value}" for key, value in (calibrated or {}).items())
    return f" Set after training, on the split `dev`: {settings}." if settings else ""


def _pictures(names: Sequence[str]) -> str:
    return "\n".join(f"![Spectrograms of a song and its stems]({name})\n" for name in names)


def _tracks(reports: Mapping[Split, Report]) -> str:
    """Return the number of tracks of each split, and the range of their scores."""
    lines = []
    for part, report in reports.items():
        for stem in report.stems:
            values = sorted(report.values(stem, "bss_sdr").values())
            if values:  # a silent reference has no score
                lines.append(
                    f"- {part.dataset} {part.split}, {stem}: {len(values)} of "
                    f"{len(report.tracks)} tracks, from {values[0]:.2f} to {values[-1]:.2f} dB "
                    "(museval's SDR per track)"
                )
    return "\n".join(lines) + "\n"


def _row(score: Score) -> str:
    cells = (score.dataset, score.split, score.stem, score.metric, score.aggregation)
    interval = f" ({score.low:.2f} to {score.high:.2f})" if score.low is not None else ""
    return f"| {' | '.join(cells)} | {score.value:.2f}{interval} |"


def _sections(notes: str) -> dict[str, str]:
    """Return the sections of notes by their ``# name`` headings."""
    sections: dict[str, str] = {}
    for section in ("\n" + notes).split("\n# ")[1:]:
        heading, _, body = section.partition("\n")
        sections[heading.strip().lower()] = body.strip()
    return sections
