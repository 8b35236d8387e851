"""A report as files: all of it as JSON, a table as CSV, and museval's own files."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...errors import UnmixError
from ...storage import writing
from ..measures import BSS_FIGURES, DIGITS, METRICS
from .aggregate import AGGREGATIONS
from .folder import track_path, write_json, write_text
from .scores import INVALID, Report, TrackScore, typed

SCORES = "scores.json"
COMPARISON = "comparison.json"


def save_report(folder: Path, report: Report) -> None:
    """Write ``scores.json``, ``scores.csv``, and museval's files.

    Raises:
        UnmixError: a file cannot be written.
    """
    write_json(folder / SCORES, report_as_dict(report))
    _write_csv(folder / "scores.csv", report)
    _write_museval(folder / "museval" / "test", report)


def load_report(folder: Path) -> Report:
    """Return the report in a folder, or in a file ``scores.json``.

    Raises:
        UnmixError: there is no report, or it is damaged.
    """
    path = folder / SCORES if folder.is_dir() else folder
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        report = Report(
            system=typed(held["system"], str),
            dataset=typed(held["dataset"], str),
            scores=tuple(TrackScore.from_plain(row) for row in held["scores"]),
            settings=typed(held["settings"], dict),
        )
    except OSError:
        raise UnmixError(
            f"{folder}: no report found; make one with unmix evaluate --out {folder}"
        ) from None
    except INVALID:
        raise UnmixError(f"{path}: not a report of unmix, or damaged; evaluate again") from None
    if not report.scores:
        raise UnmixError(f"{path}: the report has no scores; evaluate again")
    return report


def save_comparison(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``comparison.json``, with what ``comparison_as_dict`` returns.

    Raises:
        UnmixError: the file cannot be written.
    """
    write_json(folder / COMPARISON, rows)


def report_as_dict(report: Report) -> dict[str, Any]:
    """Return a report as plain values for JSON.

    ``tracks`` follows museval's schema, for the report's system; values that are not finite are
    null. ``scores`` has every value to the bit: NaN is null, infinite ones are "inf" and "-inf".
    """
    targets = _targets(report)
    return {
        "unmix": __version__,
        "system": report.system,
        "dataset": report.dataset,
        "settings": dict(report.settings),
        "metrics": {name: METRICS[name].about for name in report.metrics},
        "aggregations": AGGREGATIONS,
        "aggregates": {
            system: {stem: _aggregates(report, system, stem) for stem in report.stems}
            for system in report.systems
        },
        "tracks": {track: {"targets": targets.get(track, [])} for track in report.tracks},
        "scores": [score.to_plain() for score in report.scores],
    }


def _aggregates(report: Report, system: str, stem: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for metric in report.metrics:
        if not report.values(stem, metric, system):
            continue
        found[metric] = {}
        for how in AGGREGATIONS:
            total = report.aggregate(stem, metric, how, system)
            interval = [_number(total.low), _number(total.high)]
            found[metric][how] = {
                "value": _number(total.value),
                "interval95": interval,
                "tracks": total.tracks,
            }
    return found


def _targets(report: Report) -> dict[str, list[dict[str, Any]]]:
    """Return the tracks that have frames, in museval's schema."""
    found: dict[str, list[dict[str, Any]]] = {}
    window, hop = report.settings.get("window", 1.0), report.settings.get("hop", 1.0)
    for score in report.scores:
        if score.system != report.system or not score.frames:
            continue
        lasts = score.seconds if window is None else window  # None: the whole track is one frame
        step = lasts if hop is None else hop
        frames = [
            {
                "time": frame * step,
                "duration": lasts,
                "metrics": {name: _number(score.frames[name][frame], 5) for name in BSS_FIGURES},
            }
            for frame in range(len(score.frames[BSS_FIGURES[0]]))
        ]
        found.setdefault(score.track, []).append({"name": score.stem, "frames": frames})
    return found


def _number(value: float, digits: int = DIGITS) -> float | None:
    """Return a number for JSON, which has neither NaN nor infinity."""
    return round(value, digits) if math.isfinite(value) else None


def _write_csv(path: Path, report: Report) -> None:
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(["system", "track", "stem", "seconds", *report.metrics])
    for score in report.scores:
        values = [score.values.get(name, math.nan) for name in report.metrics]
        plain = ["" if math.isnan(value) else f"{value:.6f}" for value in values]
        rows.writerow([score.system, score.track, score.stem, f"{score.seconds:.3f}", *plain])
    write_text(path, text.getvalue())


def _write_museval(folder: Path, report: Report) -> None:
    """Write a file for each track that has frames; remove those of other tracks.

    museval reads every file below a folder called test, and no others.
    """
    files = {folder / f"{track_path(track)}.json": rows for track, rows in _targets(report).items()}
    # Remove before writing: where "Song" and "song" are one file, it would be the new one.
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]  # of other runs
        for path in (Path(place, name) for name in names if name.endswith(".json")):
            if path not in files:
                with writing(path):
                    path.unlink(missing_ok=True)
    for path, rows in files.items():
        write_json(path, {"targets": rows})
