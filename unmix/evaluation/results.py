"""A report in a folder: every track's scores as they come, then all of them for other tools.

REPORT/index.html                  to look at and listen to
REPORT/scores.json                 everything: aggregates, every track, every frame
REPORT/scores.csv                  a line for every stem of every track of every system
REPORT/museval/test/TRACK.json     museval's files: museval.EvalStore().add_eval_dir("museval")
REPORT/tracks/SYSTEM/TRACK.json    what a run that goes on does not do again
REPORT/examples/TRACK/*.wav        the excerpts of the page, as they were scored
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from .._version import __version__
from ..errors import UnmixError
from ..naming import safe_part
from .aggregate import AGGREGATIONS
from .measures import METRICS
from .report import Report, TrackScore
from .scoring import DIGITS, FIGURES

SCORES = "scores.json"
PAGE = "index.html"


def make_folder(folder: Path) -> None:
    """Make the folder of a report, which may exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnmixError(f"{folder}: cannot be made: {error.strerror}") from None


def save_track(folder: Path, fingerprint: str, scores: Sequence[TrackScore]) -> None:
    """Keep the scores of one track by one system; ``fingerprint`` says what they depend on."""
    path = _kept(folder, scores[0].system, scores[0].track)
    _write_json(path, {"fingerprint": fingerprint, "scores": [_plain(score) for score in scores]})


def load_track(folder: Path, fingerprint: str, system: str, track: str) -> list[TrackScore] | None:
    """Return scores that were kept, or None where there are none, or of other settings."""
    path = _kept(folder, system, track)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if held["fingerprint"] != fingerprint:
            return None
        return [_score(row) for row in held["scores"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or cut short: it is scored again


def save_report(folder: Path, report: Report) -> None:
    """Write ``scores.json``, ``scores.csv``, and museval's files."""
    _write_json(folder / SCORES, report_as_dict(report))
    _write_csv(folder / "scores.csv", report)
    for track in report.tracks:
        # Of all folders, museval reads but the one that is called test.
        path = folder / "museval" / "test" / f"{_path(track)}.json"
        _write_json(path, {"targets": _targets(report, track)})


def load_report(folder: Path) -> Report:
    """Return the report in a folder, or in a file ``scores.json``.

    Raises:
        UnmixError: where there is none.
    """
    path = folder / SCORES if folder.is_dir() else folder
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Report(
            system=held["system"],
            dataset=held["dataset"],
            scores=tuple(_score(row) for row in held["scores"]),
            settings=held["settings"],
        )
    except OSError:
        raise UnmixError(f"{path}: no report there; make one by evaluate --out") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UnmixError(f"{path}: is no report of unmix: {error}") from None


def report_as_dict(report: Report) -> dict[str, Any]:
    """Return plain values for JSON; what is not a finite number is null.

    ``tracks`` has, for each track, museval's own schema, of the system that the report is about.
    """
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
        "tracks": {track: {"targets": _targets(report, track)} for track in report.tracks},
        "scores": [_plain(score) for score in report.scores],
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


def _targets(report: Report, track: str) -> list[dict[str, Any]]:
    """Return one track in museval's schema; empty where BSS Eval was not asked for."""
    hop, window = report.settings.get("hop", 1.0), report.settings.get("window", 1.0)
    return [
        {
            "name": score.stem,
            "frames": [
                {
                    "time": frame * hop,
                    "duration": window,
                    "metrics": {name: _number(score.frames[name][frame], 5) for name in FIGURES},
                }
                for frame in range(len(score.frames[FIGURES[0]]))
            ],
        }
        for score in report.scores
        if score.track == track and score.system == report.system and score.frames
    ]


def _plain(score: TrackScore) -> dict[str, Any]:
    return {
        "system": score.system,
        "track": score.track,
        "stem": score.stem,
        "seconds": round(score.seconds, 6),
        "values": {name: _number(value) for name, value in score.values.items()},
        "frames": {name: [_number(v) for v in row] for name, row in score.frames.items()},
    }


def _score(row: Mapping[str, Any]) -> TrackScore:
    return TrackScore(
        system=row["system"],
        track=row["track"],
        stem=row["stem"],
        seconds=row["seconds"],
        values={name: _float(value) for name, value in row["values"].items()},
        frames={name: tuple(map(_float, values)) for name, values in row["frames"].items()},
    )


def _number(value: float, digits: int = DIGITS) -> float | None:
    """Return a number for JSON, which knows neither NaN nor infinity."""
    return round(value, digits) if math.isfinite(value) else None


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _write_csv(path: Path, report: Report) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["system", "track", "stem", "seconds", *report.metrics])
        for score in report.scores:
            values = [score.values.get(name, math.nan) for name in report.metrics]
            plain = ["" if math.isnan(value) else f"{value:.6f}" for value in values]
            rows.writerow([score.system, score.track, score.stem, f"{score.seconds:.3f}", *plain])


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place and then renamed: a run that is killed leaves no half a file.
    staged = path.with_name(f".{path.name}.part")
    staged.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False), "utf-8")
    staged.replace(path)


def example_folder(folder: Path, track: str) -> Path:
    """Return where the excerpts of a track are kept."""
    return folder / "examples" / _path(track)


def _kept(folder: Path, system: str, track: str) -> Path:
    return folder / "tracks" / safe_part(system) / f"{_path(track)}.json"


def _path(track: str) -> PurePosixPath:
    """Return a track's name as a path below a folder, never above it."""
    return PurePosixPath(*map(safe_part, track.replace("\\", "/").split("/")))
