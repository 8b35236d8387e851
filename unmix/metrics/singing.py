"""NSDR, SIR and SAR, as papers on singing voice separation report them for mono clips."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .bsseval import BSSOptions, bss_eval


@dataclass(frozen=True)
class SingingScores:
    """Figures of every stem ``[S]`` in dB, of a whole clip."""

    nsdr: Tensor
    """Gain in SDR over the mixture itself as the estimate."""
    sir: Tensor
    """Signal to interference from the other references."""
    sar: Tensor
    """Signal to artefacts."""


def singing_scores(
    *, estimates: Tensor, references: Tensor, mixture: Tensor, permute: bool = False
) -> SingingScores:
    """Return the figures of ``bss_eval_sources``, which forgives a filter of the reference.

    As in Huang et al., "Singing-Voice Separation from Monaural Recordings using Deep Recurrent
    Neural Networks" (ISMIR 2014).

    Args:
        estimates: samples ``[S, C, N]``.
        references: likewise.
        mixture: ``[C, N]``.
        permute: whether to hold each reference against the estimate with which the mean SIR is
            best, as ``bss_eval_sources`` does if not told otherwise; else against its own.
    """
    options = BSSOptions(mode="sources", permute=permute)
    ours = bss_eval(estimates=estimates, references=references, options=options)
    floor = bss_eval(
        estimates=mixture.expand_as(references),
        references=references,
        options=BSSOptions(mode="sources"),
    )
    return SingingScores(nsdr=(ours.sdr - floor.sdr)[:, 0], sir=ours.sir[:, 0], sar=ours.sar[:, 0])
