"""The folder of a report: where things are in it, and the scores of each track as they come.

REPORT/index.html                  to look at and listen to
REPORT/scores.json                 everything: aggregates, every track, every frame
REPORT/scores.csv                  a line for every stem of every track of every system
REPORT/museval/test/TRACK.json     museval's files: museval.EvalStore().add_eval_dir("museval")
REPORT/tracks/SYSTEM/TRACK.json    scores of finished tracks, which a resumed run skips
REPORT/examples/TRACK/*.wav        the excerpts of the page, as they were scored
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile

from ...errors import UnmixError
from ...songs.naming import safe_part
from ...storage import staging, writing
from .scores import INVALID, TrackScore

PAGE = "index.html"
# File systems take 255 bytes a part; the rest is room for a mark and the end of the name.
_PART_BYTES = 150


def make_folder(folder: Path) -> None:
    """Make the folder of a report, which may exist, and check that it can be written to.

    Raises:
        UnmixError: the folder cannot be made or written to; better known before hours of work.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnmixError(f"{folder}: cannot be made: {error.strerror}") from None
    with writing(folder), TemporaryFile(dir=folder):
        pass


def save_track(folder: Path, fingerprint: str, scores: Sequence[TrackScore]) -> None:
    """Save the scores of one track by one system; ``fingerprint`` is what they depend on.

    Raises:
        UnmixError: the file cannot be written.
    """
    path = _track_file(folder, scores[0].system, scores[0].track)
    plain = [score.to_plain() for score in scores]
    write_json(path, {"fingerprint": fingerprint, "scores": plain})


def load_track(
    folder: Path, fingerprint: str, system: str, track: str, *, stems: Sequence[str]
) -> list[TrackScore] | None:
    """Return saved scores; None if there are none, or if they depend on something else.

    Args:
        folder: folder of the report.
        fingerprint: what the scores must depend on.
        system: name of the system.
        track: name of the track.
        stems: stems that the scores must have, in this order.
    """
    try:
        saved = json.loads(_track_file(folder, system, track).read_text(encoding="utf-8"))
        if saved["fingerprint"] != fingerprint:
            return None
        scores = [TrackScore.from_plain(row) for row in saved["scores"]]
    except (OSError, *INVALID):
        return None  # missing or damaged: it is scored again
    wanted = [(system, track, stem) for stem in stems]
    found = [(score.system, score.track, score.stem) for score in scores]
    return scores if scores and found == wanted else None


def excerpt_folder(folder: Path, track: str) -> Path:
    """Return the folder of a track's excerpts."""
    return folder / "examples" / track_path(track)


def track_path(track: str) -> PurePosixPath:
    """Return a track's name as a path below a folder, never above it."""
    return _safe(track, track.replace("\\", "/").split("/"))


def write_json(path: Path, value: object) -> None:
    """Write plain values as JSON; see ``write_text``."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, even where another process writes it at the same time.

    Raises:
        UnmixError: the file cannot be written.
    """
    # File names that are not valid UTF-8 hold lone surrogates; JSON reads them back escaped.
    content = text.encode("utf-8", "backslashreplace")
    with staging({"file": path}) as staged, writing(path):
        staged["file"].write_bytes(content)
        staged["file"].replace(path)


def _track_file(folder: Path, system: str, track: str) -> Path:
    return folder / "tracks" / _safe(system, [system]) / f"{track_path(track)}.json"


def _safe(name: str, parts: Sequence[str]) -> PurePosixPath:
    """Return a path of parts valid on every platform; different names have different paths."""
    safe = [safe_part(_cut(part)) for part in parts]
    if "/".join(safe) != name:
        safe[-1] += f" {sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return PurePosixPath(*safe)


def _cut(part: str) -> str:
    content = part.encode("utf-8", "surrogatepass")
    return part if len(content) <= _PART_BYTES else content[:_PART_BYTES].decode("utf-8", "ignore")
