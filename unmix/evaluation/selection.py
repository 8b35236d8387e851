"""Choose what to score: stems, baselines beside a system, and tracks for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data.tracks import MIXTURE, common_stems
from ..errors import UnmixError
from ..stems import ACCOMPANIMENT, INSTRUMENTS, VOCALS, in_order
from .datasets import Dataset
from .measures import METRICS
from .report.scores import Report
from .systems.baselines import BASELINES
from .systems.system import BaselineSystem, System


class Stems(NamedTuple):
    """Names of stems, in the usual order."""

    context: tuple[str, ...]
    """Stems that can interfere: estimates are compared with the references of all of them."""
    reported: tuple[str, ...]
    """The stems of ``context`` that are scored."""


def choose_stems(dataset: Dataset, system: System, wanted: str | Sequence[str] | None) -> Stems:
    """Return the stems to score: those wanted, or all that the system and every track have.

    The context does not depend on what is wanted, so that a stem has the same figures alone.

    Raises:
        UnmixError: the system or some tracks lack a stem.
    """
    there = common_stems(dataset.tracks)
    if MIXTURE not in there:
        raise UnmixError(
            f"{dataset.name}: some tracks lack both a mixture and stems that sum to it"
        )
    there -= {MIXTURE}
    offered = there if system.stems is None else set(system.stems)
    reported = in_order(names(wanted) or there & offered)
    wrong = ((there, f"{dataset.name}: some tracks lack"), (offered, f"{system.name} lacks"))
    for has, lacks in wrong:
        lacking = [stem for stem in reported if stem not in has]
        if lacking:
            choices = ", ".join(in_order(has)) or "no stem"
            raise UnmixError(f"{lacks} {', '.join(lacking)}; choose from {choices}")
    if not reported:
        raise UnmixError(
            f"{system.name} and {dataset.name} have no stem in common: "
            f"{', '.join(in_order(offered)) or 'none'} and {', '.join(in_order(there)) or 'none'}"
        )
    pair = {VOCALS, ACCOMPANIMENT}
    # As in museval: a system that separates instruments is compared with all of them.
    around = pair if offered & there <= pair else {VOCALS, *INSTRUMENTS, *reported}
    return Stems(in_order((around & there) | set(reported)), reported)


def choose_baselines(
    system: System, wanted: str | Sequence[str] | None, usual: Sequence[str], stems: Stems
) -> list[BaselineSystem]:
    """Return baselines beside a system: those wanted, or the usual ones that fit the stems.

    Raises:
        UnmixError: a baseline is unknown, or cannot separate these stems.
    """
    chosen = usual if wanted is None else names(wanted)
    unknown = [name for name in chosen if name not in BASELINES]
    if unknown:
        raise UnmixError(
            f"unknown baseline {', '.join(unknown)!r}; choose from {', '.join(BASELINES)}"
        )
    fit = [n for n in chosen if set(stems.reported) <= set(BASELINES[n].stems or stems.reported)]
    unfit = [name for name in chosen if name not in fit]
    if unfit and wanted is not None:
        raise UnmixError(
            f"{', '.join(unfit)} cannot separate {', '.join(stems.reported)}; leave it out, or "
            f"score {VOCALS} and {ACCOMPANIMENT}"
        )
    return [BaselineSystem(name, BASELINES[name]) for name in fit if name != system.name]


def choose_examples(report: Report, count: int) -> list[str]:
    """Return tracks to show, evenly spaced from the worst to the best by the mean over stems."""
    metric = next(iter(report.metrics))
    sign = -1 if METRICS[metric].less_is_better else 1
    means = {
        track: sign * np.mean([report.values(stem, metric)[track] for stem in report.stems])
        for track in report.tracks
    }
    ranked = sorted((t for t in means if np.isfinite(means[t])), key=lambda t: (means[t], t))
    ranked = ranked or list(means)
    places = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return [ranked[place] for place in places]


def names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return names without repetitions; a string is split at its commas."""
    if given is None:
        return ()
    parts = given.split(",") if isinstance(given, str) else given
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
