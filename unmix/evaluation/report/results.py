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
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import Any, TypeVar

from ..._version import __version__
from ...errors import UnmixError
from ...songs.naming import safe_part
from ...storage import staging, writing
from ..aggregate import AGGREGATIONS
from ..measures import METRICS
from ..scoring import DIGITS, FIGURES
from .scores import Report, TrackScore

SCORES = "scores.json"
PAGE = "index.html"
COMPARISON = "comparison.json"
# File systems take 255 bytes a part; the rest is room for a mark and the end of the name.
_PART_BYTES = 150
# What scores.json and the tracks beside it have for what JSON has no numbers for.
_INFINITE = {math.inf: "inf", -math.inf: "-inf"}
_BROKEN = (ValueError, TypeError, AttributeError, LookupError)  # what JSON of another shape raises
_Plain = TypeVar("_Plain")


def make_folder(folder: Path) -> None:
    """Make the folder of a report, which may exist.

    Raises:
        UnmixError: where it cannot be made, or nothing can be written there: said before hours of
            work, not after.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnmixError(f"{folder}: cannot be made: {error.strerror}") from None
    with writing(folder), TemporaryFile(dir=folder):
        pass


def save_track(folder: Path, fingerprint: str, scores: Sequence[TrackScore]) -> None:
    """Keep the scores of one track by one system; ``fingerprint`` says what they depend on.

    Raises:
        UnmixError: where that cannot be written.
    """
    path = _kept(folder, scores[0].system, scores[0].track)
    _write_json(path, {"fingerprint": fingerprint, "scores": [_plain(score) for score in scores]})


def load_track(
    folder: Path, fingerprint: str, system: str, track: str, *, stems: Sequence[str]
) -> list[TrackScore] | None:
    """Return scores that were kept, or None where there are none, or of something else.

    Args:
        folder: of the report.
        fingerprint: what the scores have to depend on.
        system: whose they are.
        track: of what.
        stems: which there have to be, in this order.
    """
    try:
        held = json.loads(_kept(folder, system, track).read_text(encoding="utf-8"))
        if held["fingerprint"] != fingerprint:
            return None
        scores = [_score(row) for row in held["scores"]]
    except (OSError, *_BROKEN):
        return None  # not there, or damaged: it is scored again
    wanted = [(system, track, stem) for stem in stems]
    found = [(score.system, score.track, score.stem) for score in scores]
    return scores if scores and found == wanted else None


def save_report(folder: Path, report: Report) -> None:
    """Write ``scores.json``, ``scores.csv``, and museval's files.

    Raises:
        UnmixError: where one cannot be written.
    """
    _write_json(folder / SCORES, report_as_dict(report))
    _write_csv(folder / "scores.csv", report)
    _write_museval(folder / "museval" / "test", report)


def load_report(folder: Path) -> Report:
    """Return the report in a folder, or in a file ``scores.json``.

    Raises:
        UnmixError: where there is none, or a damaged one.
    """
    path = folder / SCORES if folder.is_dir() else folder
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        report = Report(
            system=_typed(held["system"], str),
            dataset=_typed(held["dataset"], str),
            scores=tuple(_score(row) for row in held["scores"]),
            settings=_typed(held["settings"], dict),
        )
    except OSError:
        raise UnmixError(f"{path}: no report there; make one by evaluate --out") from None
    except _BROKEN:
        raise UnmixError(f"{path}: is no report of unmix, or a damaged one") from None
    if not report.scores:
        raise UnmixError(f"{path}: a report without any scores")
    return report


def save_comparison(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``comparison.json``: what ``comparison_as_dict`` returns.

    Raises:
        UnmixError: where that is not possible.
    """
    _write_json(folder / COMPARISON, rows)


def report_as_dict(report: Report) -> dict[str, Any]:
    """Return plain values for JSON; what is not a finite number is null.

    ``tracks`` has, for each track, museval's own schema, of the system that the report is about.
    ``scores`` has every value to the bit; infinite ones are "inf" and "-inf", and NaN is null.
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


def _targets(report: Report) -> dict[str, list[dict[str, Any]]]:
    """Return, in museval's schema, the tracks that have frames."""
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
                "metrics": {name: _number(score.frames[name][frame], 5) for name in FIGURES},
            }
            for frame in range(len(score.frames[FIGURES[0]]))
        ]
        found.setdefault(score.track, []).append({"name": score.stem, "frames": frames})
    return found


def _plain(score: TrackScore) -> dict[str, Any]:
    return {
        "system": score.system,
        "track": score.track,
        "stem": score.stem,
        "seconds": score.seconds,
        "values": {name: _exact(value) for name, value in score.values.items()},
        "frames": {name: [_exact(value) for value in row] for name, row in score.frames.items()},
    }


def _score(row: Mapping[str, Any]) -> TrackScore:
    """Return a score from its plain values; raises some of ``_BROKEN`` where they are none."""
    frames = {name: tuple(map(_float, values)) for name, values in row["frames"].items()}
    if frames and len({len(frames[name]) for name in FIGURES}) != 1:
        raise ValueError("figures of different frames")
    return TrackScore(
        system=_typed(row["system"], str),
        track=_typed(row["track"], str),
        stem=_typed(row["stem"], str),
        seconds=_float(_typed(row["seconds"], float, int)),
        values={name: _float(value) for name, value in row["values"].items()},
        frames=frames,
    )


def _typed(value: Any, kind: type[_Plain], *others: type) -> _Plain:
    if not isinstance(value, (kind, *others)) or isinstance(value, bool):
        raise TypeError(f"{value!r} where there has to be a {kind.__name__}")
    return value  # type: ignore[return-value]


def _number(value: float, digits: int = DIGITS) -> float | None:
    """Return a number for JSON, which knows neither NaN nor infinity."""
    return round(value, digits) if math.isfinite(value) else None


def _exact(value: float) -> float | str | None:
    """Return a value so that ``_float`` gives the same again."""
    return None if math.isnan(value) else _INFINITE.get(value, value)


def _float(value: float | str | None) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str):
        return {text: number for number, text in _INFINITE.items()}[value]
    return float(_typed(value, float, int))


def _write_csv(path: Path, report: Report) -> None:
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(["system", "track", "stem", "seconds", *report.metrics])
    for score in report.scores:
        values = [score.values.get(name, math.nan) for name in report.metrics]
        plain = ["" if math.isnan(value) else f"{value:.6f}" for value in values]
        rows.writerow([score.system, score.track, score.stem, f"{score.seconds:.3f}", *plain])
    _write(path, text.getvalue())


def _write_museval(folder: Path, report: Report) -> None:
    """Write a file for each track that has frames, in a folder that has no others of the kind.

    museval reads every file below a folder that is called test, and none elsewhere.
    """
    files = {folder / f"{_path(track)}.json": rows for track, rows in _targets(report).items()}
    # Before writing: where "Song" and "song" are one name, removing later would take the new file.
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]  # of other runs
        for path in (Path(place, name) for name in names if name.endswith(".json")):
            if path not in files:
                with writing(path):
                    path.unlink(missing_ok=True)
    for path, rows in files.items():
        _write_json(path, {"targets": rows})


def _write_json(path: Path, value: object) -> None:
    _write(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all, whoever else writes it at the same time.

    Raises:
        UnmixError: where that is not possible.
    """
    # Names that are no valid UTF-8 reach us as lone surrogates; so escaped, JSON reads them again.
    content = text.encode("utf-8", "backslashreplace")
    with staging({"file": path}) as staged, writing(path):
        staged["file"].write_bytes(content)
        staged["file"].replace(path)


def example_folder(folder: Path, track: str) -> Path:
    """Return where the excerpts of a track are kept."""
    return folder / "examples" / _path(track)


def _kept(folder: Path, system: str, track: str) -> Path:
    return folder / "tracks" / _safe(system, [system]) / f"{_path(track)}.json"


def _path(track: str) -> PurePosixPath:
    """Return a track's name as a path below a folder, never above it."""
    return _safe(track, track.replace("\\", "/").split("/"))


def _safe(name: str, parts: Sequence[str]) -> PurePosixPath:
    """Return a path of parts that every system takes; different names have different paths."""
    safe = [safe_part(_cut(part)) for part in parts]
    if "/".join(safe) != name:
        safe[-1] += f" {sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return PurePosixPath(*safe)


def _cut(part: str) -> str:
    content = part.encode("utf-8", "surrogatepass")
    return part if len(content) <= _PART_BYTES else content[:_PART_BYTES].decode("utf-8", "ignore")
