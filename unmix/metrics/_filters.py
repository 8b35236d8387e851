"""The distortion filters of BSS Eval: least squares over delayed references.

Correlations are summed block by block, so that a recording of any length takes the memory of one
block. The systems of equations are block-Toeplitz, and are solved in float64 by Schur's algorithm.
Kailath and Sayed, "Displacement Structure: Theory and Applications" (SIAM Review 1995): the matrix
minus itself shifted by a block has a rank of two blocks. Elimination in that factor gives the
Cholesky factor, one column of blocks at a time, in a number of operations quadratic in the size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ._blocks import Pieces

# Length of the transforms behind the correlations; fits a processor's cache.
_TRANSFORM = 1 << 15
_AT_ONCE = 8
# Rows of a block, about: smaller blocks take more steps, larger ones more operations.
_BLOCK = 16


@dataclass(frozen=True)
class Filters:
    """Filters of one signal, or of several frames ``T`` with their own filters."""

    own: Tensor
    """``[T, S, K, C, C, taps]``: from a reference to each of its ``K`` estimates."""
    every: Tensor
    """``[T, P, S, C, taps]``: from all ``P`` channels of all references to each estimate."""
    condition: Tensor
    """``[T]``: approximate condition of the worst system; infinite beyond float64's resolution."""


@dataclass(frozen=True)
class Correlations:
    """Inner products over a signal, or over each of several frames ``T``, for lags from zero on."""

    references: Tensor
    """``[T, P, P, taps]``: of a reference's channel with another, ahead by the lag."""
    estimates: Tensor
    """``[T, P, Q, taps]``: of a reference's channel with an estimate's, ahead by the lag."""
    redundant: Tensor
    """``[T, P]``: channels that are silent, or equal to an earlier one of their stem."""


def correlate(
    blocks: Iterable[tuple[Tensor, Tensor]], taps: int, device: torch.device | None
) -> tuple[Correlations, int]:
    """Return the correlations of a signal, in one pass, and its length."""
    hop = _TRANSFORM - taps + 1
    pieces = Pieces(blocks, size=_TRANSFORM, hop=hop, at_once=_AT_ONCE, device=device)
    total = redundant = None
    for piece in pieces.filled(0):
        both = piece.flip(1).flatten(1, 3)  # the references, then the estimates
        ahead = torch.fft.rfft(both)
        channels = both.shape[1] // 2
        here = torch.fft.rfft(both[:, :channels, :hop], _TRANSFORM).conj_physical()
        copies = _redundant(piece).all(0)
        if total is None or redundant is None:
            total = ahead.new_zeros(channels, *ahead.shape[1:])
            redundant = copies
        redundant = redundant & copies
        # One by one, so that the sum stays in the processor's cache.
        for channel, row in enumerate(total):
            for one, others in zip(here[:, channel], ahead, strict=True):
                row.addcmul_(one, others)
    assert total is not None
    assert redundant is not None
    lags = torch.fft.irfft(total, _TRANSFORM)[None, ..., :taps]
    return _split(lags, redundant[None]), pieces.length


def correlate_frames(frames: Tensor, taps: int) -> Correlations:
    """Return the correlations of each of some frames ``[T, 2, S, C, n]``."""
    size = fast_length(frames.shape[-1] + taps - 1)
    spectra = torch.fft.rfft(frames.flip(1).flatten(2, 3), size)
    here = spectra[:, 0].conj().resolve_conj()
    ahead = spectra.flatten(1, 2)
    # Row by row: all rows together would take many times the memory of the frames.
    rows = [torch.fft.irfft(row[:, None] * ahead, size)[..., :taps] for row in here.unbind(1)]
    return _split(torch.stack(rows, 1), _redundant(frames))


def _split(lags: Tensor, redundant: Tensor) -> Correlations:
    channels = lags.shape[1]
    return Correlations(lags[:, :, :channels], lags[:, :, channels:], redundant)


def _redundant(frames: Tensor) -> Tensor:
    """Return which channels ``[T, P]`` of the references are silent or repeat an earlier one."""
    references = frames[:, 1]
    found = (references == 0).all(-1)
    for channel in range(1, references.shape[2]):
        for other in range(channel):
            found[:, :, channel] |= (references[:, :, channel] == references[:, :, other]).all(-1)
    return found.flatten(1)


def solve(found: Correlations, stems: int, *, permute: bool) -> Filters:
    """Return the filters that explain each estimate best from its reference, and from all.

    With ``permute``, each reference is compared with every estimate, not only its own.
    """
    references, cross = found.references.clone(), found.estimates.transpose(2, 3)
    # Filters of zeros for redundant channels are one of many equally good solutions, and keep the
    # other equations well posed.
    plain = found.redundant[:, :, None, None]
    references = references.masked_fill(plain | plain.transpose(1, 2), 0)
    power = references[..., 0].diagonal(dim1=1, dim2=2)
    loudest = power.amax(1, keepdim=True).masked_fill(found.redundant.all(1, keepdim=True), 1)
    power += torch.where(found.redundant, loudest, torch.finfo(power.dtype).eps)
    cross = cross.masked_fill(plain, 0)
    each = cross.shape[1] // stems
    every, condition = _solve_toeplitz(references, cross)
    alone, theirs = [], []
    for stem in range(stems):
        rows = slice(stem * each, (stem + 1) * each)
        alone.append(references[:, rows, rows])
        theirs.append(cross[:, rows] if permute else cross[:, rows, :, rows])
    own, singular = _solve_toeplitz(torch.cat(alone), torch.cat(theirs))
    own = own.unflatten(0, (stems, -1)).unflatten(-1, (-1, each))  # [S, T, C, taps, K, C]
    return Filters(
        own=own.permute(1, 0, 4, 2, 5, 3),
        every=every.unflatten(-1, (stems, each)).permute(0, 1, 3, 4, 2),
        condition=torch.maximum(condition, singular.unflatten(0, (stems, -1)).amax(0)),
    )


def _solve_toeplitz(lags: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Solve symmetric positive definite block-Toeplitz systems.

    Args:
        lags: ``[T, P, P, taps]``: at lag ``k``, the block ``k`` rows of blocks below the diagonal.
        right: ``[T, P, taps, Q]``.

    Returns:
        solutions ``[T, P, taps, Q]``, NaN where a matrix is not positive definite in float64; and
        approximate conditions of the matrices ``[T]``: the norm of each times the gain of its
        inverse on noise, infinite where it has no inverse.
    """
    frames, signals, taps, columns = right.shape
    size = taps * signals
    factor, failed = _cholesky(lags)
    # The gain on noise reveals small eigenvalues: of many, noise always hits some.
    noise = torch.randn(size, 1, dtype=right.dtype, generator=torch.Generator().manual_seed(0))
    probe = noise.to(right.device).expand(frames, size, 1)
    asked = torch.cat([right.transpose(1, 2).reshape(frames, size, columns), probe], -1)
    half = torch.linalg.solve_triangular(factor, asked, upper=False)
    found = torch.linalg.solve_triangular(factor.mT, half, upper=True)
    gain = found[..., -1].norm(dim=-1) / noise.norm()
    row = lags.abs().sum((2, 3)) + lags[..., 1:].abs().sum((1, 3))
    condition = (row.amax(-1) * gain).nan_to_num(torch.inf, torch.inf)
    failed = failed | ~found.isfinite().all(-1).all(-1)
    condition = condition.masked_fill(failed, torch.inf)
    found = found[..., :-1].masked_fill(failed[:, None, None], torch.nan)
    return found.view(frames, taps, signals, columns).transpose(1, 2), condition


def _cholesky(lags: Tensor) -> tuple[Tensor, Tensor]:
    """Return lower factors ``[T, n, n]``, delays first and signals within, and which failed."""
    frames, signals, _, taps = lags.shape
    size = taps * signals
    rows, step = _first_column(lags)
    first, info = torch.linalg.cholesky_ex(rows[:, :step])
    failed = info.ne(0)
    plus = torch.linalg.solve_triangular(first.mT, rows, upper=True, left=False)
    minus = plus[:, step:]
    factor = plus.new_zeros(frames, size, size).mT  # columns are contiguous, as they are written
    factor[:, :, :step] = plus
    one = torch.eye(step, dtype=lags.dtype, device=lags.device)
    for start in range(step, size, step):
        plus = plus[:, :-step]
        turn = torch.linalg.solve_triangular(plus[:, :step], minus[:, :step], upper=False)
        up, bad_up = torch.linalg.cholesky_ex(one - turn @ turn.mT)
        down, bad_down = torch.linalg.cholesky_ex(one - turn.mT @ turn)
        failed = failed | bad_up.ne(0) | bad_down.ne(0)
        plus = torch.baddbmm(plus, minus, turn.mT, alpha=-1)
        plus = torch.linalg.solve_triangular(up.mT, plus, upper=True, left=False)
        # Using the new factor, not the old, keeps rounding errors from growing.
        back = torch.linalg.solve_triangular(down.mT, up.mT @ turn, upper=True, left=False)
        minus = torch.baddbmm(minus @ down, plus, back, alpha=-1)[:, step:]
        factor[:, start:, start : start + step] = plus
    return factor, failed


def _first_column(lags: Tensor) -> tuple[Tensor, int]:
    """Return the first blocks ``[T, n, step]`` of the matrices, and their size.

    Several delays make one block, for fewer and larger steps.
    """
    frames, signals, _, taps = lags.shape
    delays = math.gcd(taps, 1 << max(0, _BLOCK // signals - 1).bit_length())
    both = torch.cat([lags.transpose(1, 2)[..., 1:].flip(-1), lags], -1)  # from 1 - taps on
    index = torch.arange(taps, device=lags.device)
    column = both[..., index[:, None] - index[:delays] + taps - 1]  # [T, P, P, taps, delays]
    step = delays * signals
    return column.permute(0, 3, 1, 4, 2).reshape(frames, taps * signals, step), step


def fast_length(length: int) -> int:
    """Return a length for transforms, at least ``length``, with small factors."""
    odd = (1, 3, 5, 7, 9, 15, 21, 25, 27, 35, 45, 49, 63, 75, 105, 125, 175, 225, 245)
    return min(factor << max(0, -(-length // factor) - 1).bit_length() for factor in odd)
