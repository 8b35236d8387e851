"""NSDR, SIR and SAR, as papers on singing voice separation report them for mono clips."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .bsseval import BSSOptions, bss_eval


@dataclass(frozen=True)
class SingingScores:
    """Figures of a whole clip in dB, ``[S]``."""

    nsdr: Tensor
    """Gain in SDR over the mixture as the estimate."""
    sir: Tensor
    """Signal to interference from the other references."""
    sar: Tensor
    """Signal to artefacts."""


def singing_scores(
    *, estimates: Tensor, references: Tensor, mixture: Tensor, permute: bool = False
) -> SingingScores:
    """Return the figures of ``bss_eval_sources``, which allow any filter of the reference.

    As in Huang et al., "Singing-Voice Separation from Monaural Recordings using Deep Recurrent
    Neural Networks" (ISMIR 2014).

    Args:
        estimates: samples ``[S, C, N]``.
        references: samples ``[S, C, N]``.
        mixture: ``[C, N]``.
        permute: compare references with the order of estimates that has the best mean SIR, the
            default of ``bss_eval_sources``; otherwise with their own.
    """
    options = BSSOptions(mode="sources", permute=permute)
    ours = bss_eval(estimates=estimates, references=references, options=options)
    floor = bss_eval(
        estimates=mixture.expand_as(references),
        references=references,
        options=BSSOptions(mode="sources"),
    )
    return SingingScores(nsdr=(ours.sdr - floor.sdr)[:, 0], sir=ours.sir[:, 0], sar=ours.sar[:, 0])
