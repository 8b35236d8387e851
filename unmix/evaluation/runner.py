"""Score a data set by several systems, track by track; tracks already scored are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import TypeVar

import numpy as np
import torch

from .. import devices
from .._types import Progress, Samples
from .._version import __version__
from ..data import Track
from ..errors import UnmixError
from ..storage import hidden_folder
from .datasets import Dataset
from .museval_backend import museval_frames, processors
from .report.excerpts import Excerpt, excerpts, load_excerpts, save_excerpts
from .report.folder import load_track, save_track
from .report.scores import TrackScore
from .scoring import FrameFigures, ScoringSettings, bss_frames, score
from .signals import Estimated, Signals, write_references
from .systems.system import System, of_files

Measured = TypeVar("Measured")
# Share of the work on a track that estimating takes; the rest is scoring.
_ESTIMATING = 0.5
# Version of the saved scores: raised when the same inputs give others.
_VERSION = 1


class Runner:
    """Scores the tracks of a data set by several systems.

    Args:
        dataset: the tracks.
        systems: the systems to score.
        stems: stems whose references estimates are compared with; each system is scored on those
            of them that it estimates.
        settings: which metrics, and how.
        folder: folder of the report, where scores are saved; default: they are not.
        device: device of the metrics; default: the CPU.
        fall_back: whether to go on on the CPU when the device fails; else that is an error.
        progress: called with the fraction that is done.
    """

    def __init__(
        self,
        dataset: Dataset,
        systems: Sequence[System],
        stems: Sequence[str],
        settings: ScoringSettings,
        *,
        folder: Path | None = None,
        device: torch.device | None = None,
        fall_back: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._dataset = dataset
        self._systems = systems
        self._stems = tuple(stems)
        self._settings = settings
        self._folder = folder
        self._device = device
        self._fall_back = fall_back
        self._progress = progress
        self._seconds = len(systems) * sum(track.seconds for track in dataset.tracks)
        self._done = 0.0

    def __call__(self) -> list[TrackScore]:
        """Return all scores, in the order of systems and tracks."""
        scores: dict[tuple[str, str], list[TrackScore]] = {}
        todo: list[tuple[Track, list[System]]] = []
        for track in self._dataset.tracks:
            left = []
            for system in self._systems:
                saved = self._saved(system, track)
                if saved is None:
                    left.append(system)
                else:
                    scores[system.name, track.name] = saved
                    self._advance(track.seconds)
            if left:
                todo.append((track, left))
        # museval scores tracks in parallel: prepare as many as it has processes.
        at_once = processors() if self._settings.official else 1
        for first in range(0, len(todo), at_once):
            for found in self._score(todo[first : first + at_once]):
                scores[found[0].system, found[0].track] = found
        tracks = self._dataset.tracks
        order = [(system.name, track.name) for system in self._systems for track in tracks]
        return [row for key in order for row in scores[key]]

    def examples(self, names: Sequence[str], stems: Sequence[str]) -> list[Excerpt]:
        """Return excerpts of tracks by the first system, and save them in the folder."""
        system, examples = self._systems[0], []
        tracks = {track.name: track for track in self._dataset.tracks}
        for track in (tracks[name] for name in names):
            fingerprint = self._fingerprint(system, track)
            found = load_excerpts(self._folder, fingerprint, track.name) if self._folder else []
            if not found:
                with self._scratch() as place:
                    references = write_references(track, self._dataset, self._stems, place)
                    estimated = self._estimate(system, track, references, place / "0")
                    found = excerpts(estimated)
                if self._folder:
                    save_excerpts(self._folder, fingerprint, found)
            examples += [example for example in found if example.stem in stems]
        return examples

    def _score(self, batch: Sequence[tuple[Track, Sequence[System]]]) -> Iterator[list[TrackScore]]:
        """Yield the scores of some tracks by systems."""
        with ExitStack() as stack:
            folder = stack.enter_context(self._scratch())
            fingerprints = {}
            queue = []
            for number, (track, systems) in enumerate(batch):
                place = folder / str(number)
                place.mkdir()
                references = write_references(track, self._dataset, self._stems, place)
                for index, system in enumerate(systems):
                    fingerprints[system.name, track.name] = self._fingerprint(system, track)
                    found = self._estimate(system, track, references, place / str(index))
                    if self._settings.official:
                        queue.append(found)
                        continue
                    frames = self._frames(found)
                    yield self._finish(found, frames, fingerprints[found.system, found.track])
                    found.estimates.remove()
            for found, frames in museval_frames(queue, self._settings):
                yield self._finish(found, frames, fingerprints[found.system, found.track])

    def _estimate(
        self, system: System, track: Track, references: Signals, folder: Path
    ) -> Estimated:
        """Return a system's estimates of a track, cut to the references' length."""
        folder.mkdir()
        channels, rate = references.audio_channels, references.sample_rate
        estimates = Signals(folder, channels, rate)

        stems = self._estimated(system)

        def pieces() -> Iterator[Mapping[str, Samples]]:
            position = 0
            for piece in system.estimate(track, references, stems):
                if not all(np.isfinite(piece[stem]).all() for stem in stems):
                    raise UnmixError(
                        f"{system.name}: estimates of {track.name} contain NaN or infinite samples"
                    )
                left = references.length - position
                yield {stem: piece[stem][:, :left] for stem in stems}
                position += piece[stems[0]].shape[1]
                done = min(1.0, position / references.length)
                self._report(_ESTIMATING * done * track.seconds)

        estimates.write_all(stems, pieces())
        return Estimated(system.name, track.name, stems, self._stems, references, estimates)

    def _estimated(self, system: System) -> tuple[str, ...]:
        """Return the stems with references that a system estimates."""
        offered = system.stems
        return self._stems if offered is None else tuple(s for s in self._stems if s in offered)

    def _frames(self, found: Estimated) -> FrameFigures:
        if "bss" not in self._settings.metrics:
            return {}
        return self._measured(lambda device: bss_frames(found, self._settings, device))

    def _measured(self, measure: Callable[[torch.device | None], Measured]) -> Measured:
        """Return figures computed on the device; on the CPU from when it fails, if that may be."""
        device = self._device
        try:
            return measure(device)
        except RuntimeError as error:
            if device is None or device.type == "cpu":
                raise
            devices.mark_broken(device, error)
            reason = devices.first_line(error)
            if not self._fall_back:
                raise UnmixError(devices.failed(device, reason)) from error
        devices.say_fallback(str(device), reason)
        self._device = torch.device("cpu")
        return measure(self._device)

    def _finish(self, found: Estimated, frames: FrameFigures, fingerprint: str) -> list[TrackScore]:
        scores = self._measured(lambda device: score(found, self._settings, frames, device))
        if self._folder:
            save_track(self._folder, fingerprint, scores)
        self._advance(found.references.seconds)
        return scores

    def _saved(self, system: System, track: Track) -> list[TrackScore] | None:
        """Return scores saved earlier, or None."""
        if not self._folder:
            return None
        return load_track(
            self._folder,
            self._fingerprint(system, track),
            system.name,
            track.name,
            stems=self._estimated(system),
        )

    def _fingerprint(self, system: System, track: Track) -> str:
        dataset = self._dataset
        how = (dataset.sample_rate, dataset.audio_channels, dataset.gain)
        parts = (
            (_VERSION, __version__),
            system.fingerprint(track),
            of_files(track.stems.values()),
            self._stems,
            how,
            self._settings,
        )
        return sha256(repr(parts).encode()).hexdigest()

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Yield a folder for signals, inside the report's folder if there is one."""
        with hidden_folder(self._folder or Path(gettempdir())) as folder:
            yield folder

    def _advance(self, seconds: float) -> None:
        self._done += seconds
        self._report(0.0)

    def _report(self, seconds: float) -> None:
        if self._progress and self._seconds:
            self._progress(min(1.0, (self._done + seconds) / self._seconds))
