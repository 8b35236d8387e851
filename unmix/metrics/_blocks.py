"""Cut signals that pass in blocks of any length into overlapping pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

#: Starts a pass over the signals: estimates and references ``[S, C, n]``, block by block.
Blocks = Callable[[], Iterable[tuple[Tensor, Tensor]]]


class Pieces:
    """Pieces of ``size`` samples, one every ``hop``, up to ``at_once`` of them together.

    Iteration yields ``[K, 2, S, C, size]`` in float64: the estimates, then the references. Samples
    from the start of the first incomplete piece on are left in ``rest`` ``[2, S, C, n]``.
    """

    def __init__(
        self,
        blocks: Iterable[tuple[Tensor, Tensor]],
        *,
        size: int,
        hop: int,
        at_once: int,
        device: torch.device | None = None,
    ) -> None:
        self._blocks = blocks
        self.size, self._hop, self._at_once = size, hop, at_once
        self._device = device
        self.length = 0  # samples so far
        self.rest = torch.empty(0)

    def __iter__(self) -> Iterator[Tensor]:
        skip = 0  # samples between pieces, where the hop is longer than they are
        held: list[Tensor] = []
        many = self.size + self._hop * (self._at_once - 1)
        for block in self._blocks:
            both = _checked(*block)
            self.length += both.shape[-1]
            dropped = min(skip, both.shape[-1])
            skip -= dropped
            held.append(both[..., dropped:])
            if sum(part.shape[-1] for part in held) < many:
                continue
            samples = torch.cat(held, -1) if len(held) > 1 else held[0]
            while samples.shape[-1] >= many:
                yield self._cut(samples[..., :many])
                used = self._hop * self._at_once
                skip = max(0, used - samples.shape[-1])
                samples = samples[..., used:]
            held = [samples]
        if not self.length:
            raise ValueError("expected samples, got none")
        samples = torch.cat(held, -1)
        pieces = (samples.shape[-1] - self.size) // self._hop + 1
        if pieces > 0:
            yield self._cut(samples[..., : self.size + self._hop * (pieces - 1)])
            samples = samples[..., self._hop * pieces :]
        self.rest = samples.to(self._device, torch.float64)

    def filled(self, keep: int) -> Iterator[Tensor]:
        """Yield the pieces, then the padded rest, until at most ``keep`` samples remain."""
        yield from self
        while (left := self.rest.shape[-1]) > keep:
            piece = self.rest[None, ..., : self.size]
            yield torch.nn.functional.pad(piece, (0, max(0, self.size - left)))
            self.rest = self.rest[..., self._hop :]

    def _cut(self, samples: Tensor) -> Tensor:
        pieces = samples.to(self._device, torch.float64).unfold(-1, self.size, self._hop)
        return pieces.movedim(-2, 0)


def _checked(estimates: Tensor, references: Tensor) -> Tensor:
    if estimates.shape != references.shape or estimates.ndim != 3:
        raise ValueError(
            "expected estimates and references of one shape [stem, channel, sample], "
            f"got {tuple(estimates.shape)} and {tuple(references.shape)}"
        )
    return torch.stack([estimates, references.to(estimates)])
