"""Fast magnitudes of complex values: torch's own take a third of the time of a loss on frames."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# Smaller magnitudes are divided by this instead of by themselves in the gradient.
_LEAST = 1e-30


def magnitude(values: Tensor) -> Tensor:
    """Return absolute values of the same shape; where they are zero, so is the gradient.

    Complex values are squared without ``abs``'s guard against overflow: magnitudes below 1e-19
    become zero, above 1e19 infinite. There is no second derivative.
    """
    if not values.is_complex():
        return values.abs()
    found: Tensor = _Magnitude.apply(values.resolve_conj())
    return found


class _Magnitude(Function):
    """Square root of the sum of squares; its gradient is the direction of the value."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        real, imaginary = values.real, values.imag
        found = torch.addcmul(real * real, imaginary, imaginary).sqrt_()
        ctx.save_for_backward(values, found)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        values, found = ctx.saved_tensors
        scale = gradient / found.clamp(min=_LEAST)
        return torch.view_as_complex(torch.view_as_real(values) * scale.unsqueeze(-1))
