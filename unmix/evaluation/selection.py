"""What is scored of what there is: stems, baselines beside a system, tracks worth a look."""

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
    """References that estimates are held against: what interference may come from."""
    reported: tuple[str, ...]
    """Those of them that get scores."""


def choose_stems(dataset: Dataset, system: System, wanted: str | Sequence[str] | None) -> Stems:
    """Return the stems to score: those wanted, or all that a system and every track have.

    What else plays does not depend on what is wanted: the figures of one stem are the same alone.

    Raises:
        UnmixError: for stems that the system does not give, or not every track has.
    """
    there = common_stems(dataset.tracks)
    if MIXTURE not in there:
        raise UnmixError(
            f"{dataset.name}: not every track has a mixture, or all the stems that sum to it"
        )
    there -= {MIXTURE}
    offered = there if system.stems is None else set(system.stems)
    reported = in_order(names(wanted) or there & offered)
    for has, what in ((there, f"{dataset.name}: not every track"), (offered, system.name)):
        lacking = [stem for stem in reported if stem not in has]
        if lacking:
            raise UnmixError(
                f"{what} has {', '.join(lacking)}; there is {', '.join(in_order(has)) or 'no stem'}"
            )
    if not reported:
        raise UnmixError(
            f"{system.name} gives {', '.join(in_order(offered)) or 'no stem'}, every track of "
            f"{dataset.name} has {', '.join(in_order(there)) or 'no stem'}: nothing in common"
        )
    pair = {VOCALS, ACCOMPANIMENT}
    # As in museval: who tells instruments apart is held against all of them.
    around = pair if offered & there <= pair else {VOCALS, *INSTRUMENTS, *reported}
    return Stems(in_order((around & there) | set(reported)), reported)


def choose_baselines(
    system: System, wanted: str | Sequence[str] | None, usual: Sequence[str], stems: Stems
) -> list[BaselineSystem]:
    """Return baselines to stand beside a system: those wanted, or the usual that fit the stems.

    Raises:
        UnmixError: for an unknown one, or one that cannot tell these stems apart.
    """
    chosen = usual if wanted is None else names(wanted)
    unknown = [name for name in chosen if name not in BASELINES]
    if unknown:
        raise UnmixError(f"no baseline {', '.join(unknown)!r}; choose from {', '.join(BASELINES)}")
    fit = [n for n in chosen if set(stems.reported) <= set(BASELINES[n].stems or stems.reported)]
    unfit = [name for name in chosen if name not in fit]
    if unfit and wanted is not None:
        raise UnmixError(
            f"{', '.join(unfit)} cannot tell {', '.join(stems.reported)} apart; leave it out, or "
            f"score {VOCALS} and {ACCOMPANIMENT}"
        )
    return [BaselineSystem(name, BASELINES[name]) for name in fit if name != system.name]


def choose_examples(report: Report, count: int) -> list[str]:
    """Return tracks to show: evenly from the worst to the best, by the mean over stems."""
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
    """Return names without repetitions; of a string, what its commas part."""
    if given is None:
        return ()
    parts = given.split(",") if isinstance(given, str) else given
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
