"""The losses of Stoller et al., "Adversarial Semi-Supervised Audio Source Separation".

Three things are known of a good separator (ICASSP 2018): where stems are known, its estimates are
near them; where not, its estimates sum to the mixture, and each looks like recordings of its stem.
The last is what critics judge: see Gulrajani et al., "Improved Training of Wasserstein GANs"
(NeurIPS 2017), but with a penalty on gradients above 1 alone.

Log magnitudes are ``log(1 + magnitude)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

#: Judgements ``[B, 1]`` of log magnitudes ``[B, 1, F, T]``: more is more real.
Judge = Callable[[Tensor], Tensor]


def supervised_loss(estimates: Tensor, references: Tensor, band: Tensor | None = None) -> Tensor:
    """Return the mean squared error of every stem, summed over stems: a scalar.

    Args:
        estimates: log magnitudes ``[B, S, C, F, T]``.
        references: likewise.
        band: ``[B, F]``, 1 for the bins that the references know, 0 above; None where they know
            all.
    """
    error = estimates - references
    if band is not None:
        error = error * band[:, None, None, :, None]
    return error.square().mean((0, 2, 3, 4)).sum()


def gradient_penalty(critic: Judge, real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Return by how much a critic is steeper than 1, squared, on the way from fake to real.

    Args:
        critic: whose gradient with respect to what it judges is looked at.
        real: log magnitudes ``[B, 1, F, T]``.
        fake: likewise.
        shares: of the real one in what is judged, ``[B, 1, 1, 1]`` in [0, 1].
    """
    between = (shares * real + (1 - shares) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    steepness = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    excess: Tensor = (steepness - 1).clamp(min=0)
    return excess.square().mean()


def critic_loss(
    critic: Judge, real: Tensor, fake: Tensor, shares: Tensor, penalty: float
) -> Tensor:
    """Return what a critic makes small: fakes judged above real ones, and steepness above 1.

    Args:
        critic: of one stem.
        real: log magnitudes of recordings of the stem, ``[B, 1, F, T]``.
        fake: of estimates; no gradient goes back to them.
        shares: as in ``gradient_penalty``.
        penalty: weight of it.
    """
    fake = fake.detach()
    distance = critic(real).mean() - critic(fake).mean()
    return penalty * gradient_penalty(critic, real, fake, shares) - distance


def adversarial_loss(critics: Sequence[Judge], fakes: Sequence[Tensor]) -> Tensor:
    """Return how unreal the critics find estimates: minus the mean judgement, summed over stems.

    Args:
        critics: one for each stem.
        fakes: log magnitudes ``[B, 1, F, T]`` of each stem's estimates.
    """
    judgements = [critic(fake).mean() for critic, fake in zip(critics, fakes, strict=True)]
    return -torch.stack(judgements).sum()


def consistency_loss(estimates: Tensor, mixture: Tensor) -> Tensor:
    """Return the mean squared error of the sum of the estimates' magnitudes.

    Args:
        estimates: log magnitudes ``[B, S, C, F, T]`` of all that is in the mixture.
        mixture: magnitudes ``[B, C, F, T]``, not their logarithms.
    """
    return (mixture - torch.expm1(estimates).sum(1)).square().mean()
