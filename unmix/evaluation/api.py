"""``evaluate`` and ``evaluate_estimates``: a system and a data set in, a report out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .._types import Progress
from .._version import __version__
from ..devices import choose_device
from ..errors import UnmixError
from ..metrics import SINGULAR
from ..models import Model
from ..separation.separator import RecordingSeparator
from ..stems import MIXTURE
from ..weights import DEFAULT
from .datasets import Dataset, open_dataset
from .measures import check_groups
from .report.folder import PAGE, make_folder
from .report.page import write_page
from .report.results import save_report
from .report.scores import Report, TrackScore
from .runner import Runner
from .scoring import CONDITION, ScoringSettings
from .selection import StemSelection, choose_baselines, choose_examples, choose_stems, names
from .systems.baselines import BASELINES
from .systems.system import BaselineSystem, ModelSystem, SavedEstimates, System

# Baselines of a report in a folder, and of scores alone, which should not take long.
_REPORTED = tuple(BASELINES)
_MIXTURE_ONLY = (MIXTURE,)
#: Tracks to see and hear on the page, by default.
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
        model: name or path of a model, a ``Model``, or the name of a baseline in ``BASELINES``.
        data: ``KIND:PATH`` with a kind in ``KINDS``, the path of a folder of tracks, or a
            ``Dataset``.
        split: split of the data set; default: its test split, or the whole folder.
        stems: stems to score; default: all that the model and every track have.
        metrics: groups of metrics in ``GROUPS``; default: those usual for the data set.
        window: seconds of the frames of BSS Eval v4; infinite: the whole track is one frame.
        hop: seconds from one frame to the next; default: the window.
        framewise: fit distortion filters to every frame, as BSS Eval v3 does.
        official: compute BSS Eval with museval itself, tracks in parallel processes. A script that
            uses it needs ``if __name__ == "__main__":``.
        baselines: names in ``BASELINES``; default: all with ``out``, else the mixture.
        out: folder of the report: a page, and scores for other tools. Tracks already scored there
            with the same model and settings are not scored again, except those of a ``Model``
            object, whose code may have changed.
        examples: number of tracks with pictures and sounds on the page, from the worst to the best.
        quality: ``fast``, ``balanced`` or ``best``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``, for model and metrics.
        progress: called with the fraction that is done.

    Raises:
        UnmixError: a name is unknown, tracks lack the stems, or the report cannot be written.
    """
    if isinstance(model, str) and model in BASELINES:
        system: System = BaselineSystem(model, BASELINES[model])
    else:
        system = ModelSystem(RecordingSeparator(model, quality=quality, device=device), quality)
    options = _Options(stems, metrics, baselines, out, examples, progress)
    settings = _settings(window, hop, framewise=framewise, official=official)
    return _run(system, _opened(data, split), options, settings, device)


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
    """Score stems from any system: a folder per track, a file per stem.

    Tracks are paired by name. A reference without estimates is an error: scores on some of the
    tracks would look like scores on all.

    Args:
        estimates: folder with a folder per track.
        references: as ``data`` in ``evaluate``.
        split: as in ``evaluate``.
        name: name of the system; default: the folder's name.
        stems: as in ``evaluate``.
        metrics: as in ``evaluate``.
        window: as in ``evaluate``.
        hop: as in ``evaluate``.
        framewise: as in ``evaluate``.
        official: as in ``evaluate``.
        baselines: as in ``evaluate``.
        out: as in ``evaluate``.
        examples: as in ``evaluate``.
        device: for the metrics.
        progress: as in ``evaluate``.

    Raises:
        UnmixError: as ``evaluate``, and for tracks without estimates, or estimates of another
            length or sample rate.
    """
    system, dataset = SavedEstimates(Path(estimates), name), _opened(references, split)
    system.pair(dataset.tracks)
    lacking = [track.name for track in dataset.tracks if track.name not in system.paired]
    if lacking:
        raise UnmixError(
            f"{estimates}: no estimates of {len(lacking)} of {len(dataset.tracks)} tracks: "
            f"{', '.join(lacking[:3])}{'...' if len(lacking) > 3 else ''}; add them, or leave "
            "tracks out with --exclude"
        )
    options = _Options(stems, metrics, baselines, out, examples, progress)
    settings = _settings(window, hop, framewise=framewise, official=official)
    return _run(system, dataset, options, settings, device)


class _Options(NamedTuple):
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
        raise UnmixError(f"window and hop must be above 0 seconds, got {window} and {hop}")
    return ScoringSettings(
        metrics=(), window=window, hop=hop, framewise=framewise, official=official
    )


def _run(
    system: System, dataset: Dataset, options: _Options, settings: ScoringSettings, device: str
) -> Report:
    if options.examples < 0:
        raise UnmixError(f"examples must be 0 or more tracks, got {options.examples}")
    metrics = check_groups(dataset.metrics if options.metrics is None else names(options.metrics))
    settings = replace(settings, metrics=metrics)
    stems = choose_stems(dataset, system, options.stems)
    usual = _MIXTURE_ONLY if options.out is None else _REPORTED
    folder = None if options.out is None else Path(options.out)
    if folder:
        make_folder(folder)
    run = Runner(
        dataset,
        [system, *choose_baselines(system, options.baselines, usual, stems)],
        stems.context,
        settings,
        folder=folder,
        device=_for_metrics(device),
        fall_back=device == "auto",
        progress=options.progress,
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
            shown = run.examples(choose_examples(report, options.examples), stems.reported)
            write_page(report, shown, folder / PAGE)
    except OSError as error:
        where = error.filename or folder or "temporary folder"
        raise UnmixError(f"{where}: cannot be written: {error.strerror}") from None
    return report


def _for_metrics(device: str) -> torch.device:
    """Return the device of the metrics: they need float64, which Apple's GPUs lack."""
    chosen = choose_device(device)
    return torch.device("cpu") if chosen.type == "mps" else chosen


def _described(
    settings: ScoringSettings,
    dataset: Dataset,
    stems: StemSelection,
    system: System,
    scores: Sequence[TrackScore],
) -> dict[str, Any]:
    """Return the settings of a report as plain values."""
    described = {
        **asdict(settings),
        # JSON has no infinity; without a window, the whole track is one frame.
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
