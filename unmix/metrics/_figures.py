"""Decompose estimates with given filters, and compute the figures from the parts' energies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from ._blocks import Pieces
from ._filters import Filters, fast_length


class Decomposition:
    """Decomposes estimates, with filters for all frames or for each of them."""

    def __init__(self, filters: Filters, length: int, mode: str) -> None:
        """Prepare for frames of ``length`` samples."""
        self._before = filters.own.shape[-1] - 1
        self._size = fast_length(length + self._before)
        self._own = torch.fft.rfft(filters.own, self._size)
        self._every = torch.fft.rfft(filters.every, self._size)
        self._mode = mode

    def frames(self, frames: Tensor) -> Tensor:
        """Return energies ``[7, T, S, K]`` of frames ``[T, 2, S, C, n]``."""
        heard, true = torch.fft.rfft(frames, self._size).unbind(1)
        image, explained = self._project(true)
        estimates, references = frames.unbind(1)
        return self._energies(estimates, references, heard, true, image, explained, self._energy)

    def whole(
        self, blocks: Iterable[tuple[Tensor, Tensor]], device: torch.device | None
    ) -> tuple[Tensor, Tensor]:
        """Return energies ``[7, 1, S, K]`` of a recording of any length as one frame.

        And which of its signals ``[1, 2, S]`` are silent.
        """
        hop = self._size - self._before
        pieces = Pieces(
            _padded(blocks, self._before), size=self._size, hop=hop, at_once=1, device=device
        )
        segments = map(self._segment, pieces.filled(self._before))
        total, quiet = next(segments)
        for energies, silence in segments:
            total += energies
            quiet &= silence
        return total, quiet

    def _segment(self, piece: Tensor) -> tuple[Tensor, Tensor]:
        # The start, where convolution wraps around, belongs to the segment before.
        image, explained = (
            torch.fft.irfft(part, self._size)[..., self._before :]
            for part in self._project(torch.fft.rfft(piece[:, 1]))
        )
        heard, true = piece[..., self._before :].unbind(1)
        energies = self._energies(heard, true, heard, true, image, explained, _square)
        return energies, silent(piece)

    def _project(self, true: Tensor) -> tuple[Tensor, Tensor]:
        """Return images ``[T, S, K, C, F]`` and explained parts ``[T, S, C, F]``.

        They follow from spectra of the references ``[T, S, C, F]``.
        """
        image = true[:, :, None, 0, None] * self._own[:, :, :, 0]
        for channel in range(1, true.shape[2]):
            image.addcmul_(true[:, :, None, channel, None], self._own[:, :, :, channel])
        channels = true.flatten(1, 2)
        explained = channels[:, 0, None, None] * self._every[:, 0]
        for channel in range(1, channels.shape[1]):
            explained.addcmul_(channels[:, channel, None, None], self._every[:, channel])
        return image, explained

    def _energies(
        self,
        estimates: Tensor,
        references: Tensor,
        heard: Tensor,
        true: Tensor,
        image: Tensor,
        explained: Tensor,
        energy: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Return the energies that the figures compare.

        The first two are computed from samples, so that a perfect estimate has exactly no
        distortion; the others with ``energy``.
        """
        one = self._own.shape[2] == 1  # each reference is compared with its own estimate only

        def pairs(estimates: Tensor) -> Tensor:
            return estimates[:, :, None] if one else estimates[:, None]

        explained, heard = pairs(explained), pairs(heard)
        other = true[:, :, None] if self._mode == "images" else heard
        found = (
            _square(references)[:, :, None],
            _square(pairs(estimates) - references[:, :, None]),
            energy(image),
            energy(image - other),
            energy(explained - image),
            energy(explained),
            energy(heard - explained),
        )
        return torch.stack([part.expand(image.shape[:3]) for part in found])

    def _energy(self, spectra: Tensor) -> Tensor:
        """Return the energy of signals from their spectra ``[..., C, F]``."""
        values = torch.view_as_real(spectra).flatten(-3)
        twice = 2 * torch.linalg.vecdot(values, values)
        ends = spectra[..., :: spectra.shape[-1] - 1] if self._size % 2 == 0 else spectra[..., :1]
        energy: Tensor = (twice - torch.view_as_real(ends).square().sum((-3, -2, -1))) / self._size
        return energy


def silent(frames: Tensor) -> Tensor:
    """Return which signals ``[T, 2, S]`` of frames ``[T, 2, S, C, n]`` are silent for museval.

    museval sums the channels first, so channels of opposite sign count as silent.
    """
    return (frames.sum(3) == 0).all(-1)


def figures(energies: Tensor, quiet: Tensor, mode: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return SDR, ISR, SIR and SAR ``[T, S, K]`` in dB."""
    true, distortion, image, other, interference, explained, artefacts = energies
    sir, sar = _decibels(image, interference), _decibels(explained, artefacts)
    if mode == "images":
        sdr, isr = _decibels(true, distortion), _decibels(true, other)
    else:
        sdr, isr = _decibels(image, other), torch.full_like(image, torch.nan)
    gone = quiet.flatten(1).any(1)[:, None, None]
    sdr, isr, sir, sar = (f.masked_fill(gone, torch.nan) for f in (sdr, isr, sir, sar))
    return sdr, isr, sir, sar


def _decibels(signal: Tensor, distortion: Tensor) -> Tensor:
    ratio = 10 * torch.log10(signal / distortion)
    return ratio.masked_fill(distortion == 0, torch.inf)


def _square(samples: Tensor) -> Tensor:
    return samples.square().sum((-2, -1))


def _padded(blocks: Iterable[tuple[Tensor, Tensor]], count: int) -> Iterator[tuple[Tensor, Tensor]]:
    zeros = None
    for estimates, references in blocks:
        if zeros is None:
            zeros = estimates.new_zeros((*estimates.shape[:-1], count))
            yield zeros, zeros
        yield estimates, references
    if zeros is not None:
        yield zeros, zeros
