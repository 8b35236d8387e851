"""BSS Eval of Vincent et al., "Performance Measurement in Blind Audio Source Separation", batched.

IEEE TASLP 2006 (``sources``: distortions by a filter of the reference itself are forgiven), and
Vincent et al., "First Stereo Audio Source Separation Evaluation Campaign" (ICA 2007) as BSS Eval v4
has it (``images``: one set of filters for the whole track, figures for every frame). An estimate is
taken apart, by least squares over filters of the references, into what is the reference, its
filtered image, what leaks from the others, and what is neither.

Everything is Fourier transforms and one linear system for each set of references, in float64 on
whatever device the tensors are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

#: Taps of the distortion filters, as in every published figure.
FILTER_LENGTH = 512
# Frames whose parts are computed at once: some hundred megabytes for stereo frames of a second.
_FRAMES_AT_ONCE = 16


@dataclass(frozen=True)
class BSSScores:
    """Figures in dB, each ``[S, frames]``; NaN where a reference or an estimate is silent."""

    sdr: Tensor
    """Signal to all distortion."""
    sir: Tensor
    """Signal to interference from the other references."""
    sar: Tensor
    """Signal to artefacts."""
    isr: Tensor
    """Image to spatial distortion; infinite for ``sources``, which forgive it."""


def bss_eval(
    *,
    estimates: Tensor,
    references: Tensor,
    mode: Literal["images", "sources"] = "images",
    frame: int | None = None,
    filter_length: int = FILTER_LENGTH,
) -> BSSScores:
    """Return BSS Eval's figures of every stem.

    Args:
        estimates: samples ``[S, C, N]``.
        references: likewise, in the same order: no permutation is looked for.
        mode: ``images`` for BSS Eval v4 (museval), ``sources`` for the figures of mono singing
            voice separation (``bss_eval_sources``).
        frame: samples of the frames that are scored one by one, without overlap, the rest at the
            end left out; the whole signal is one frame where not given, or where it is shorter.
        filter_length: taps of the distortion filters.

    Raises:
        ValueError: for shapes that differ or are not ``[S, C, N]``.
    """
    if estimates.shape != references.shape or estimates.ndim != 3:
        raise ValueError(
            "expected estimates and references of one shape [stem, channel, sample], "
            f"got {tuple(estimates.shape)} and {tuple(references.shape)}"
        )
    estimates, references = estimates.double(), references.double()
    length = references.shape[-1]
    size = length if frame is None else min(frame, length)
    projection = _Projection(references, estimates, filter_length)
    columns = []
    for first in range(0, length // size, _FRAMES_AT_ONCE):
        frames = min(_FRAMES_AT_ONCE, length // size - first)
        cut = slice(first * size, (first + frames) * size)
        true = references[..., cut].unflatten(-1, (frames, size)).permute(2, 0, 1, 3)
        heard = estimates[..., cut].unflatten(-1, (frames, size)).permute(2, 0, 1, 3)
        columns.append(_figures(*projection(true), true, heard, mode))
    sdr, sir, sar, isr = (torch.cat(parts).T for parts in zip(*columns, strict=True))
    return BSSScores(sdr=sdr, sir=sir, sar=sar, isr=isr)


class _Projection:
    """The filters that explain each estimate best: by its own reference, and by all of them."""

    def __init__(self, references: Tensor, estimates: Tensor, taps: int) -> None:
        self._taps = taps
        stems, channels, length = references.shape
        size = _fast_length(length + taps - 1)
        theirs = torch.fft.rfft(references.flatten(0, 1), size)  # [S * C, bins]
        heard = torch.fft.rfft(estimates.flatten(0, 1), size)
        gram = _toeplitz(theirs, taps, size)  # [S * C, taps, S * C, taps]
        cross = torch.fft.irfft(theirs.conj()[:, None] * heard, size)[..., :taps]
        cross = cross.transpose(1, 2)  # [S * C, taps, S * C]: of the references, with each estimate
        self._all = _solve(gram, cross).unflatten(-1, (stems, channels))
        own = []
        for stem in range(stems):
            rows = slice(stem * channels, (stem + 1) * channels)
            own.append(_solve(gram[rows][:, :, rows], cross[rows][..., rows]))
        self._own = torch.stack(own, 2)  # [C, taps, S, C]

    def __call__(self, references: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images ``[T, S, C, n + taps - 1]`` of frames of references ``[T, S, C, n]``.

        First through each stem's own filters, then through those from all the references.
        """
        length = references.shape[-1] + self._taps - 1
        size = _fast_length(length)
        frames = torch.fft.rfft(references, size)  # [T, S, C, bins]
        own = torch.fft.rfft(self._own, size, dim=1)  # [C, bins, S, C]
        every = torch.fft.rfft(self._all.unflatten(0, references.shape[1:3]), size, dim=2)
        image = torch.einsum("tsif,ifsc->tscf", frames, own)
        explained = torch.einsum("tjif,jifsc->tscf", frames, every)
        return (
            torch.fft.irfft(image, size)[..., :length],
            torch.fft.irfft(explained, size)[..., :length],
        )


def _figures(
    image: Tensor, explained: Tensor, true: Tensor, heard: Tensor, mode: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return SDR, SIR, SAR and ISR ``[T, S]`` of frames that have been taken apart."""
    tail = (0, image.shape[-1] - true.shape[-1])
    silent = (true.abs().sum((2, 3)) == 0) | (heard.abs().sum((2, 3)) == 0)
    silent = silent.any(1, keepdim=True).expand_as(silent)
    true, heard = torch.nn.functional.pad(true, tail), torch.nn.functional.pad(heard, tail)
    spatial, interference, artefacts = image - true, explained - image, heard - explained
    if mode == "images":
        figures = (
            _decibels(true, heard - true),
            _decibels(image, interference),
            _decibels(explained, artefacts),
            _decibels(true, spatial),
        )
    else:
        figures = (
            _decibels(image, interference + artefacts),
            _decibels(image, interference),
            _decibels(explained, artefacts),
            torch.full_like(silent, torch.inf, dtype=true.dtype),
        )
    sdr, sir, sar, isr = (f.masked_fill(silent, torch.nan) for f in figures)
    return sdr, sir, sar, isr


def _decibels(signal: Tensor, distortion: Tensor) -> Tensor:
    ratio = signal.square().sum((-2, -1)) / distortion.square().sum((-2, -1))
    return 10 * torch.log10(ratio)


def _toeplitz(spectra: Tensor, taps: int, size: int) -> Tensor:
    """Return the correlations ``[P, taps, P, taps]`` of every signal, delayed, with every other."""
    lags = torch.arange(taps, device=spectra.device)
    lags = lags[None, :] - lags[:, None]  # delay of the second minus that of the first
    rows = []
    for one in spectra:
        correlation = torch.fft.irfft(one.conj() * spectra, size)  # [P, size]
        # Delays i of the first and j of the second: correlation at lag i - j, which wraps around.
        rows.append(correlation[:, -lags])
    return torch.stack(rows).transpose(1, 2)


def _solve(gram: Tensor, cross: Tensor) -> Tensor:
    """Return the filters ``[P, taps, ...]`` of a least-squares problem; the shortest if many do."""
    signals, taps = gram.shape[:2]
    matrix = gram.reshape(signals * taps, signals * taps)
    right = cross.reshape(signals * taps, -1)
    solution, info = torch.linalg.solve_ex(matrix, right)
    if info.item() or not solution.isfinite().all():
        solution = torch.linalg.lstsq(matrix.cpu(), right.cpu(), driver="gelsd").solution.to(right)
    filters: Tensor = solution.reshape(signals, taps, -1)
    return filters


def _fast_length(length: int) -> int:
    """Return a power of two that is at least ``length``."""
    return 1 << (length - 1).bit_length()
