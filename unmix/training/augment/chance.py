"""The random numbers of augmentations, drawn from one generator.

Numbers are drawn on the device of the generator and then moved. With a CPU generator, a seed gives
the same augmentations on every device, and choosing items never waits for a GPU.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Chance:
    """Draws random numbers.

    Args:
        generator: source of all numbers.
        device: device of the results.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self._generator = generator
        self._device = device

    def chosen(self, share: float, count: int) -> Tensor:
        """Return indices of ``count`` items, each chosen with probability ``share``."""
        return (self._rand(count) < share).nonzero()[:, 0].to(self._device)

    def happens(self, share: float, *shape: int) -> Tensor:
        """Return booleans that are true with probability ``share``."""
        return (self._rand(*shape) < share).to(self._device)

    def uniform(self, limits: tuple[float, float], *shape: int) -> Tensor:
        """Return uniform numbers between ``limits``."""
        low, high = limits
        return (low + (high - low) * self._rand(*shape)).to(self._device)

    def ratio(self, limits: tuple[float, float], *shape: int) -> Tensor:
        """Return log-uniform numbers between positive ``limits``."""
        low, high = limits
        return self.uniform((math.log(low), math.log(high)), *shape).exp()

    def gain(self, decibels: tuple[float, float], *shape: int) -> Tensor:
        """Return amplitude factors with a uniform level between ``decibels``."""
        return 10 ** (self.uniform(decibels, *shape) / 20)

    def orders(self, rows: int, count: int) -> Tensor:
        """Return a random permutation of ``count`` items per row, ``[rows, count]``."""
        return self._rand(rows, count).argsort(1).to(self._device)

    def noise(self, *shape: int) -> Tensor:
        """Return normally distributed numbers."""
        made = torch.randn(*shape, generator=self._generator, device=self._generator.device)
        return made.to(self._device)

    def _rand(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator, device=self._generator.device)
