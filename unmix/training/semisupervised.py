"""The losses of Stoller et al., "Adversarial Semi-Supervised Audio Source Separation".

A good separator (ICASSP 2018) estimates stems that are near the references, if there are any;
otherwise its estimates sum to the mixture, and each resembles recordings of its stem. Critics judge
the latter, as in Gulrajani et al., "Improved Training of Wasserstein GANs" (NeurIPS 2017), except
that only gradient norms above 1 are penalised.

Log magnitudes are ``log(1 + magnitude)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

#: Returns judgements ``[B, 1]`` of log magnitudes ``[B, 1, F, T]``; higher is more real.
Judge = Callable[[Tensor], Tensor]


def supervised_loss(estimates: Tensor, references: Tensor, band: Tensor | None = None) -> Tensor:
    """Return the mean squared error of each stem, summed over stems: a scalar.

    Args:
        estimates: log magnitudes ``[B, S, C, F, T]``.
        references: likewise.
        band: weights of the bins ``[B, F]``: 1 within the band of the references, 0 above; None:
            all 1.
    """
    error = estimates - references
    if band is not None:
        error = error * band[:, None, None, :, None]
    return error.square().mean((0, 2, 3, 4)).sum()


def gradient_penalty(critic: Judge, real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Return the squared excess over 1 of a critic's gradient norm, between fake and real.

    Args:
        critic: the critic, which is differentiated with respect to its input.
        real: log magnitudes ``[B, 1, F, T]``.
        fake: likewise.
        shares: share of the real input in their interpolation, ``[B, 1, 1, 1]`` in [0, 1].
    """
    between = (shares * real + (1 - shares) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    steepness = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    excess: Tensor = (steepness - 1).clamp(min=0)
    return excess.square().mean()


def critic_loss(
    critic: Judge, real: Tensor, fake: Tensor, shares: Tensor, penalty: float
) -> Tensor:
    """Return the loss of a critic: fake minus real judgements, plus the gradient penalty.

    Args:
        critic: critic of one stem.
        real: log magnitudes of recordings of the stem, ``[B, 1, F, T]``.
        fake: log magnitudes of estimates, which get no gradient.
        shares: as in ``gradient_penalty``.
        penalty: weight of the gradient penalty.
    """
    fake = fake.detach()
    distance = critic(real).mean() - critic(fake).mean()
    return penalty * gradient_penalty(critic, real, fake, shares) - distance


def adversarial_loss(critics: Sequence[Judge], fakes: Sequence[Tensor]) -> Tensor:
    """Return minus the critics' mean judgement of estimates, summed over stems.

    Args:
        critics: one critic per stem.
        fakes: log magnitudes ``[B, 1, F, T]`` of each stem's estimates.
    """
    judgements = [critic(fake).mean() for critic, fake in zip(critics, fakes, strict=True)]
    return -torch.stack(judgements).sum()


def consistency_loss(estimates: Tensor, mixture: Tensor) -> Tensor:
    """Return the mean squared error of the sum of the estimates' magnitudes.

    Args:
        estimates: log magnitudes ``[B, S, C, F, T]`` of all stems.
        mixture: magnitudes ``[B, C, F, T]``, not logarithmic.
    """
    return (mixture - torch.expm1(estimates).sum(1)).square().mean()
