"""Solve block-Toeplitz systems of equations by Schur's algorithm.

Kailath and Sayed, "Displacement Structure: Theory and Applications" (SIAM Review 1995): the matrix
minus itself shifted by a block has a rank of two blocks. Elimination in that factor gives the
Cholesky factor, one column of blocks at a time, in a number of operations quadratic in the size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Rows of a block, about: smaller blocks take more steps, larger ones more operations.
_BLOCK = 16


def solve_toeplitz(lags: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
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
