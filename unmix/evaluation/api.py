"""Evaluation: a model or files, a data set, and what the scores come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .._types import Progress
from .._version import __version__
from ..data.tracks import MIXTURE
from ..devices import choose_device
from ..errors import UnmixError
from ..metrics import SINGULAR
from ..models import Model
from ..separation.separator import RecordingSeparator
from ..weights.manifest import DEFAULT
from .datasets import Dataset, open_dataset
from .measures import check_groups
from .report.folder import PAGE, make_folder
from .report.page import write_page
from .report.results import save_report
from .report.scores import Report, TrackScore
from .runner import Runner
from .scoring import CONDITION, ScoringSettings
from .selection import Stems, choose_baselines, choose_examples, choose_stems, names
from .systems.baselines import BASELINES
from .systems.system import BaselineSystem, ModelSystem, SavedEstimates, System

#: Baselines of a report in a folder; without one, nobody waits for more than the mixture.
REPORTED = tuple(BASELINES)
MIXTURE_ONLY = (MIXTURE,)
#: Tracks whose spectrograms are drawn, if nobody says how many.
EXAMPLES = 3


def evaluate(
    model: str | Path | Model = DEFAULT,
    *,
    data: str | Path | Dataset,
    split: str | None = None,
    stems: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] | None = None,
    window: float = 1.0,
    hop: float | None = None,
    framewise: bool = False,
    official: bool = False,
    baselines: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    examples: int = EXAMPLES,
    quality: str = "balanced",
    device: str = "auto",
    progress: Progress | None = None,
) -> Report:
    """Score a model on every track of a data set.

    Args:
        model: name or path of a model, or a ``Model``; the name of a baseline scores that.
        data: ``KIND:PATH``, the path of a folder of tracks, or a ``Dataset``; see ``KINDS``.
        split: of the data set; its test split, or the whole folder, where not given.
        stems: which to score; all that the model and every track have, where not given.
        metrics: groups of metrics, see ``GROUPS``; those usual for the data set, where not given.
        window: seconds of the frames of BSS Eval v4; infinite for the whole track as one.
        hop: seconds from a frame to the next; those of the window where not given.
        framewise: whether every frame has distortion filters of its own, as in BSS Eval v3.
        official: whether museval computes BSS Eval's figures, tracks side by side in processes. A
            script that asks for it needs ``if __name__ == "__main__":``, as for any processes.
        baselines: names of ``BASELINES``; where not given, all in a report, else the mixture.
        out: folder of the report: a page to look at, scores for other tools, and what is needed
            to go on: tracks that were scored with the same model and settings are not again. (A
            ``Model`` is not known by its weights alone: it is always scored anew.)
        examples: tracks of which the page has spectrograms and sounds: the worst, the best, and
            those between.
        quality: ``fast``, ``balanced`` or ``best``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``, of model and metrics.
        progress: called with the fraction of the work that is done.

    Raises:
        UnmixError: for an unknown name, or tracks without the stems; one sentence says which.
    """
    if isinstance(model, str) and model in BASELINES:
        system: System = BaselineSystem(model, BASELINES[model])
    else:
        system = ModelSystem(RecordingSeparator(model, quality=quality, device=device), quality)
    chosen = _Chosen(stems, metrics, baselines, out, examples, progress)
    settings = _settings(window, hop, framewise=framewise, official=official)
    return _run(system, _opened(data, split), chosen, settings, device)


def evaluate_estimates(
    estimates: str | Path,
    *,
    references: str | Path | Dataset,
    split: str | None = None,
    name: str | None = None,
    stems: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] | None = None,
    window: float = 1.0,
    hop: float | None = None,
    framewise: bool = False,
    official: bool = False,
    baselines: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    examples: int = EXAMPLES,
    device: str = "auto",
    progress: Progress | None = None,
) -> Report:
    """Score stems that any system has made: a folder per track, a file per stem.

    Tracks are paired by name. A reference without estimates is an error, not a track less: scores
    of a part of the tracks look like scores.

    Args:
        estimates: the folder of the tracks' folders.
        references: as ``data`` of :func:`evaluate`.
        split: likewise.
        name: what the system is called; the name of the folder where not given.
        stems: likewise, as all that follows.
        metrics: likewise.
        window: likewise.
        hop: likewise.
        framewise: likewise.
        official: likewise.
        baselines: likewise.
        out: likewise.
        examples: likewise.
        device: of the metrics.
        progress: likewise.

    Raises:
        UnmixError: likewise, and for tracks without estimates, or estimates of another length or
            sample rate.
    """
    system, dataset = SavedEstimates(Path(estimates), name), _opened(references, split)
    system.pair(dataset.tracks)
    lacking = [track.name for track in dataset.tracks if track.name not in system.paired]
    if lacking:
        raise UnmixError(
            f"{estimates}: has no estimates of {len(lacking)} of {len(dataset.tracks)} tracks: "
            f"{', '.join(lacking[:3])}{'...' if len(lacking) > 3 else ''}; leave tracks out by "
            "--include or --exclude"
        )
    chosen = _Chosen(stems, metrics, baselines, out, examples, progress)
    settings = _settings(window, hop, framewise=framewise, official=official)
    return _run(system, dataset, chosen, settings, device)


class _Chosen(NamedTuple):
    """What a caller chose, beside how to measure."""

    stems: str | Sequence[str] | None
    metrics: str | Sequence[str] | None
    baselines: str | Sequence[str] | None
    out: str | Path | None
    examples: int
    progress: Progress | None


def _opened(data: str | Path | Dataset, split: str | None) -> Dataset:
    return data if isinstance(data, Dataset) else open_dataset(data, split)


def _settings(
    window: float, hop: float | None, *, framewise: bool, official: bool
) -> ScoringSettings:
    hop = window if hop is None else hop
    if not (window > 0 and hop > 0):
        raise UnmixError(f"window and hop are seconds above 0, not {window} and {hop}")
    return ScoringSettings(
        metrics=(), window=window, hop=hop, framewise=framewise, official=official
    )


def _run(
    system: System, dataset: Dataset, chosen: _Chosen, settings: ScoringSettings, device: str
) -> Report:
    if chosen.examples < 0:
        raise UnmixError(f"examples are a number of tracks, not {chosen.examples}")
    metrics = check_groups(dataset.metrics if chosen.metrics is None else names(chosen.metrics))
    settings = replace(settings, metrics=metrics)
    stems = choose_stems(dataset, system, chosen.stems)
    usual = MIXTURE_ONLY if chosen.out is None else REPORTED
    folder = None if chosen.out is None else Path(chosen.out)
    if folder:
        make_folder(folder)
    run = Runner(
        dataset,
        [system, *choose_baselines(system, chosen.baselines, usual, stems)],
        stems.context,
        settings,
        folder=folder,
        device=_for_metrics(device),
        progress=chosen.progress,
    )
    try:
        scores = run()
        report = Report(
            system=system.name,
            dataset=dataset.name,
            scores=tuple(score for score in scores if score.stem in stems.reported),
            settings=_described(settings, dataset, stems, system, scores),
        )
        if folder:
            save_report(folder, report)
            shown = run.examples(choose_examples(report, chosen.examples), stems.reported)
            write_page(report, shown, folder / PAGE)
    except OSError as error:
        where = error.filename or folder or "the folder for temporary files"
        raise UnmixError(f"{where}: cannot be written: {error.strerror}") from None
    return report


def _for_metrics(device: str) -> torch.device:
    """Return where metrics are computed: they need 64 bits, which Apple's GPUs have not."""
    chosen = choose_device(device)
    return torch.device("cpu") if chosen.type == "mps" else chosen


def _described(
    settings: ScoringSettings,
    dataset: Dataset,
    stems: Stems,
    system: System,
    scores: Sequence[TrackScore],
) -> dict[str, Any]:
    """Return what a reader has to know, as plain values."""
    described = {
        **asdict(settings),
        # JSON knows no infinity: no window at all is the whole track.
        "window": settings.window if math.isfinite(settings.window) else None,
        "hop": settings.hop if math.isfinite(settings.hop) else None,
        "metrics": list(settings.metrics),
        "stems": list(stems.context),
        "system": system.describe(),
        "unmix": __version__,
    }
    for name in ("sample_rate", "audio_channels"):
        if getattr(dataset, name) is not None:
            described[name] = getattr(dataset, name)
    singular = {s.track for s in scores if s.values.get(CONDITION, 0.0) >= SINGULAR}
    if singular:
        described["singular"] = sorted(singular)
    return described
