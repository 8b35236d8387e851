"""Muon, an optimizer that orthogonalizes the momentum of each weight matrix.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the scale and
weight decay of Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982). torch has Muon
since 2.9, but only for weights with two axes; most weights of a U-Net have four.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

# Coefficients of the polynomial of Jordan et al., which brings singular values near 1 fastest.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
# RMS of a step in learning rates, about that of AdamW, so that AdamW's rates fit (Liu et al.).
_RMS = 0.2
_EPSILON = 1e-8


class Muon(Optimizer):
    """Takes orthogonal steps for matrices, and Adam steps for all other weights.

    Weights with more than two axes are flattened to a matrix after the first axis:
    ``[out, in * ...]`` for a convolution, ``[in, out * ...]`` for a transposed one. Orthogonal
    steps move all directions of a matrix alike, while in a gradient a few large ones dominate.
    Their length does not depend on the size of the gradient, only on the learning rate.

    Args:
        parameters: parameters of the model.
        lr: learning rate of the Adam steps; orthogonal steps have an RMS of 0.2 times ``lr``.
        momentum: decay of the Nesterov momentum, in [0, 1).
        betas: Adam's coefficients, for weights with one axis: biases and norms.
        weight_decay: decoupled weight decay of the matrices.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
    ) -> None:
        if min(lr, weight_decay) < 0 or not 0 <= momentum < 1:
            raise ValueError("lr and weight_decay must be at least 0, momentum in [0, 1)")
        super().__init__(
            parameters,
            {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": weight_decay},
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one step; return the result of ``closure``, if given, which computes the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            for parameter in moved:
                if parameter.ndim < 2:
                    self._step_adam(parameter, group)
            self._step_orthogonal([p for p in moved if p.ndim >= 2], group)
        return loss

    def _step_orthogonal(self, parameters: Sequence[Tensor], group: dict[str, Any]) -> None:
        steps = orthogonalise_all([self._momentum(p, group) for p in parameters])
        rate = group["lr"]
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.mul_(1 - rate * group["weight_decay"])
            scale = _RMS * max(step.shape) ** 0.5
            parameter.sub_(step.reshape(parameter.shape), alpha=rate * scale)

    def _momentum(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        """Update the Nesterov momentum; return it as a matrix."""
        gradient, state = _gradient(parameter), self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        average = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        return gradient.lerp(average, group["momentum"]).flatten(1)

    def _step_adam(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state = _gradient(parameter), self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"], state["square"] = (torch.zeros_like(parameter) for _ in range(2))
        state["step"] += 1
        first, second = group["betas"]
        mean = state["mean"].lerp_(gradient, 1 - first) / (1 - first ** state["step"])
        square = state["square"].lerp_(gradient.square(), 1 - second)
        deviation = (square / (1 - second ** state["step"])).sqrt() + _EPSILON
        parameter.addcdiv_(mean, deviation, value=-group["lr"])


def orthogonalise_all(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Return ``orthogonalise`` of matrices of any shapes.

    All processes have the same matrices, since gradients are averaged. Each process computes a
    share of them and broadcasts it to the others.
    """
    joined = dist.is_available() and dist.is_initialized()
    rank, processes = (dist.get_rank(), dist.get_world_size()) if joined else (0, 1)
    shares = _shared_out(matrices, processes)
    found = [torch.empty_like(matrix) for matrix in matrices]
    for alike in _by_shape(matrices, shares[rank]):
        steps = orthogonalise(torch.stack([matrices[index] for index in alike]))
        for index, step in zip(alike, steps, strict=True):
            found[index] = step
    for owner, share in enumerate(shares):
        if processes > 1 and share:
            told = torch.cat([found[index].flatten() for index in share])
            dist.broadcast(told, owner)
            parts = told.split([found[index].numel() for index in share])
            for index, part in zip(share, parts, strict=True):
                found[index] = part.view_as(found[index])
    return found


def orthogonalise(matrices: Tensor) -> Tensor:
    """Return ``[N, R, C]`` with the same singular vectors and singular values near 1.

    Five Newton-Schulz iterations in bfloat16, as in Jordan et al. Singular values end between 0.65
    and 1.25, except those below about 3e-3 of the Frobenius norm.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    found = (matrices.mT if tall else matrices).float()
    found = (found / (torch.linalg.matrix_norm(found, keepdim=True) + _EPSILON)).bfloat16()
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = found @ found.mT
        found = a * found + (b * square + c * square @ square) @ found
    turned: Tensor = found.mT if tall else found
    return turned.to(matrices.dtype)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _by_shape(matrices: Sequence[Tensor], indices: Iterable[int]) -> Iterable[list[int]]:
    """Return the indices of the matrices, grouped by shape."""
    found: defaultdict[torch.Size, list[int]] = defaultdict(list)
    for index in indices:
        found[matrices[index].shape].append(index)
    return found.values()


def _shared_out(matrices: Sequence[Tensor], processes: int) -> list[list[int]]:
    """Return the indices of each process: the costliest matrix first, to the least loaded."""
    costs = [matrix.numel() * min(matrix.shape) for matrix in matrices]
    shares: list[list[int]] = [[] for _ in range(processes)]
    loads = [0] * processes
    for index in sorted(range(len(costs)), key=costs.__getitem__, reverse=True):
        least = loads.index(min(loads))
        shares[least].append(index)
        loads[least] += costs[index]
    return shares
