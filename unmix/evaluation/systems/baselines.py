"""Baselines: floors that any separation should pass, and ceilings that hardly any reaches.

A baseline is a function of a mixture and its references. Recordings of any length pass in pieces,
so that an hour needs no more memory than two minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..._types import Samples
from ...separation.overlap_add import fade
from .classical import CLASSICAL_STEMS, harmonic_percussive, repet_sim
from .oracles import ideal_binary_mask, ideal_ratio_mask, multichannel_wiener_filter

#: A mixture ``[C, n]``, and references ``[C, n]`` by stem.
Block = tuple[Samples, dict[str, Samples]]

# Seconds over which one piece fades into the next.
_OVERLAP = 1.0


@dataclass(frozen=True)
class Baseline:
    """A separation without a model."""

    label: str
    about: str
    """One sentence, with the paper."""
    oracle: bool
    """Uses the references, and not only their names."""
    estimate: Callable[[Samples, dict[str, Samples], int], dict[str, Samples]]
    """Takes a mixture ``[C, N]``, N >= 1, references by stem, and Hz; returns estimates of those
    stems that it can separate."""
    stems: tuple[str, ...] | None = None
    """Stems that it can separate; default: any."""
    piece: float = 30.0
    """Seconds of a piece."""


def _mixture(
    mixture: Samples, references: dict[str, Samples], sample_rate: int
) -> dict[str, Samples]:
    return dict.fromkeys(references, mixture)


BASELINES = {
    "mixture": Baseline("mixture", "The mixture itself as every estimate.", False, _mixture),
    "irm": Baseline(
        "ideal ratio mask",
        "The mixture divided by the ratio of the true magnitudes (SiSEC 2018, IRM1).",
        True,
        ideal_ratio_mask,
    ),
    "ibm": Baseline(
        "ideal binary mask",
        "The bins where a stem has at least half of the mixture's magnitude (SiSEC 2018, IBM1).",
        True,
        ideal_binary_mask,
    ),
    "mwf": Baseline(
        "multichannel Wiener filter",
        "The filter of the true powers and spatial covariances "
        "(Duong et al., IEEE TASLP 2010; SiSEC 2018, MWF).",
        True,
        multichannel_wiener_filter,
    ),
    "hpss": Baseline(
        "HPSS",
        "Harmonic-percussive separation at two resolutions (FitzGerald and Gainza, 2010).",
        False,
        harmonic_percussive,
        CLASSICAL_STEMS,
    ),
    # A piece must hold repetitions, such as two choruses; but the time to find similar frames
    # grows with the square of their number.
    "repet-sim": Baseline(
        "REPET-SIM",
        "What repeats is the accompaniment (Rafii and Pardo, ISMIR 2012).",
        False,
        repet_sim,
        CLASSICAL_STEMS,
        piece=60.0,
    ),
}


def estimate_blocks(
    baseline: Baseline, blocks: Iterable[Block], sample_rate: int
) -> Iterator[dict[str, Samples]]:
    """Yield a baseline's estimates of a recording as they become final.

    They are the same to the bit however the recording is cut into blocks: pieces of
    ``baseline.piece`` seconds start on a fixed grid, overlap by a second, and fade into each other.
    The last is between half and one and a half times as long, unless the recording is shorter.

    Args:
        baseline: see ``BASELINES``.
        blocks: mixture ``[C, n]`` and references ``[C, n]`` by stem, of any size, in order.
        sample_rate: Hz.

    Yields:
        Estimates ``[C, n]`` by stem, in all as many samples as came in.

    Raises:
        ValueError: a reference differs from the mixture in shape, or stems or channels change.
    """
    size, overlap = round(baseline.piece * sample_rate), round(_OVERLAP * sample_rate)
    rise = fade(size, overlap)[:overlap]
    fading: dict[str, Samples] = {}
    for mixture, references, last in _pieces(blocks, size, overlap):
        estimates = baseline.estimate(mixture, references, sample_rate)
        for stem, earlier in fading.items():
            head, tail = np.split(estimates[stem], [overlap], axis=1)
            # Exact where both agree.
            estimates[stem] = np.concatenate([earlier + rise * (head - earlier), tail], axis=1)
        final = mixture.shape[1] - (0 if last else overlap)
        yield {stem: estimate[:, :final] for stem, estimate in estimates.items()}
        fading = {stem: estimate[:, final:] for stem, estimate in estimates.items()}


def _pieces(
    blocks: Iterable[Block], size: int, overlap: int
) -> Iterator[tuple[Samples, dict[str, Samples], bool]]:
    """Yield overlapping pieces of a mixture and its references, and whether each is the last."""
    stems: tuple[str, ...] | None = None
    held: list[Samples] = []
    count = 0
    for mixture, references in blocks:
        stems = tuple(references) if stems is None else stems
        held.append(_stacked(mixture, references, stems))
        count += mixture.shape[1]
        if count < size + size // 2:
            continue
        joined = np.concatenate(held, axis=2)
        start = 0
        while count - start >= size + size // 2:
            yield *_named(joined[..., start : start + size], stems), False
            start += size - overlap
        held = [joined[..., start:].copy()]
        count -= start
    if count and stems is not None:
        yield *_named(np.concatenate(held, axis=2), stems), True


def _stacked(mixture: Samples, references: dict[str, Samples], stems: tuple[str, ...]) -> Samples:
    """Return the mixture and its references ``[1 + S, C, n]``."""
    if mixture.ndim != 2 or any(mixture.shape != other.shape for other in references.values()):
        shapes = {stem: reference.shape for stem, reference in references.items()}
        raise ValueError(f"expected samples [channel, sample], got {mixture.shape} and {shapes}")
    if set(references) != set(stems):
        raise ValueError(f"expected {', '.join(stems)}, got {', '.join(references)}")
    return np.stack([mixture, *(references[stem] for stem in stems)]).astype(np.float32)


def _named(stacked: Samples, stems: tuple[str, ...]) -> Block:
    mixture, *references = np.ascontiguousarray(stacked)
    return mixture, dict(zip(stems, references, strict=True))
