"""Chance: every random number of an augmentation, drawn from one generator.

Numbers are drawn where the generator lives and then moved: on a CPU generator the same seed makes
the same augmentations on every device, and to know which items are changed never waits for a GPU.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Chance:
    """Draws random numbers.

    Args:
        generator: where they come from; its state decides them all.
        device: where they are needed.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self._generator = generator
        self._device = device

    def chosen(self, share: float, count: int) -> Tensor:
        """Return which of ``count`` items are chosen, each with a chance of ``share``."""
        return (self._rand(count) < share).nonzero()[:, 0].to(self._device)

    def happens(self, share: float, *shape: int) -> Tensor:
        """Return truth values that are true with a chance of ``share``."""
        return (self._rand(*shape) < share).to(self._device)

    def uniform(self, limits: tuple[float, float], *shape: int) -> Tensor:
        """Return numbers between limits."""
        low, high = limits
        return (low + (high - low) * self._rand(*shape)).to(self._device)

    def ratio(self, limits: tuple[float, float], *shape: int) -> Tensor:
        """Return numbers between positive limits, with a uniform logarithm."""
        low, high = limits
        return self.uniform((math.log(low), math.log(high)), *shape).exp()

    def gain(self, decibels: tuple[float, float], *shape: int) -> Tensor:
        """Return factors of amplitude, with a uniform level."""
        return 10 ** (self.uniform(decibels, *shape) / 20)

    def orders(self, rows: int, count: int) -> Tensor:
        """Return a random order of ``count`` things for each row, ``[rows, count]``."""
        return self._rand(rows, count).argsort(1).to(self._device)

    def noise(self, *shape: int) -> Tensor:
        """Return numbers of a normal distribution."""
        made = torch.randn(*shape, generator=self._generator, device=self._generator.device)
        return made.to(self._device)

    def _rand(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator, device=self._generator.device)
