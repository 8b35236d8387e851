"""BSS Eval of Vincent et al., "Performance Measurement in Blind Audio Source Separation", batched.

IEEE TASLP 2006 (``sources``: filtering of the reference does not count as distortion), and Vincent
et al., "First Stereo Audio Source Separation Evaluation Campaign" (ICA 2007) as in BSS Eval v4
(``images``: one set of filters for the whole track, figures for every frame; Stöter et al., "The
2018 Signal Separation Evaluation Campaign", LVA/ICA 2018). Least squares over filters of the
references decompose an estimate into the reference, its filtered image, leakage from the others,
and artefacts.

The figures are museval's, in float64, on the tensors' device. Signals of any length take bounded
memory: they pass twice, block by block.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ._blocks import Blocks, Pieces
from ._figures import Decomposition, figures, silent
from ._filters import Filters, correlate, correlate_frames, solve
from ._rounding import museval_filters

#: Taps of the distortion filters, as in every published figure.
FILTER_LENGTH = 512
#: Condition from which on rounding errors decide ISR, SIR and SAR. Below it they agree with
#: museval's to about a thousandth of a decibel, in any order of summation.
SINGULAR = 1e13
# Most samples, of all channels of all stems, for filters rounding for rounding: that takes the
# whole signals, and about a hundred bytes a sample.
_MOST_WHOLE = 1 << 25
# Samples of the segments of a recording that is one frame.
_SEGMENT = 1 << 17
# Bytes of working memory for frames scored together, by kind of device.
_BYTES = {"cpu": 1 << 27, "cuda": 1 << 31}


@dataclass(frozen=True, kw_only=True)
class BSSOptions:
    """Options of BSS Eval; the defaults, with a window of a second, are museval's v4."""

    mode: Literal["images", "sources"] = "images"
    """``images`` for v3 and v4, ``sources`` for singing voice separation (``bss_eval_sources``)."""
    window: int | None = None
    """Samples of a frame; an incomplete frame at the end is left out. Default: the whole signal is
    one frame, as it is if shorter than the window."""
    hop: int | None = None
    """Samples from the start of one frame to that of the next; default: the window."""
    framewise: bool = False
    """Fit filters to every frame, as v3 does."""
    permute: bool = False
    """Find the order of estimates with the best mean SIR, instead of that of the references."""
    as_rounded: bool = True
    """Where rounding errors decide, reproduce museval's. This is slow, takes up to three gigabytes,
    and is skipped for more than three minutes of two stereo stems at 44.1 kHz."""
    filter_length: int = FILTER_LENGTH
    """Taps of the distortion filters."""

    def __post_init__(self) -> None:
        for name in ("window", "hop", "filter_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least one sample, got {value}")


@dataclass(frozen=True)
class BSSScores:
    """BSS Eval's figures in dB, ``[S, frames]``; NaN where a reference or an estimate is silent."""

    sdr: Tensor
    """Signal to all distortion."""
    isr: Tensor
    """Image to spatial distortion; NaN for ``sources``, where it does not count."""
    sir: Tensor
    """Signal to interference from the other references."""
    sar: Tensor
    """Signal to artefacts."""
    permutation: Tensor
    """Estimate that each reference was compared with: ``[S, 1]``, framewise ``[S, frames]``."""
    condition: Tensor
    """Approximate condition of the equations: ``[1]``, framewise ``[frames]``.

    From ``SINGULAR`` on, rounding errors decide ISR, SIR and SAR, and for ``sources`` SDR too;
    infinite where the equations are singular in float64.
    """


def bss_eval(
    *, estimates: Tensor, references: Tensor, options: BSSOptions | None = None
) -> BSSScores:
    """Return BSS Eval's figures of every stem.

    Args:
        estimates: samples ``[S, C, N]``.
        references: samples ``[S, C, N]``.
        options: default: the whole signal is one frame.

    Raises:
        ValueError: shapes differ or are not ``[S, C, N]``, or there are no samples.
    """
    return bss_eval_blocks(lambda: [(estimates, references)], options, estimates.device)


def bss_eval_blocks(
    blocks: Blocks, options: BSSOptions | None = None, device: torch.device | None = None
) -> BSSScores:
    """Return BSS Eval's figures of signals that pass in blocks, in bounded memory.

    Args:
        blocks: starts a pass over estimates and references ``[S, C, n]``, in blocks of any length;
            called a few times.
        options: default: the whole signal is one frame.
        device: device to compute on; default: that of the blocks.

    Raises:
        ValueError: shapes differ or are not ``[S, C, n]``, or there are no samples.
    """
    options = options or BSSOptions()
    framewise = options.framewise and options.window is not None
    energies, quiet, conditions = [], [], []
    if framewise:
        parts = _own_filters(blocks, options, device)
    else:
        parts = _same_filters(blocks, _filters(blocks, options, device), options)
    for energy, silence, condition in parts:
        where = energy.device
        # Plain numbers: small tensors that stay between large ones that go would keep the allocator
        # from reusing memory, and an hour would take gigabytes.
        energies.extend(energy.movedim(0, 1).tolist())
        quiet.extend(silence.tolist())
        conditions.extend(condition.tolist())
    table = torch.tensor(energies, dtype=torch.float64, device=where).movedim(1, 0)
    table = torch.stack(
        figures(table, torch.tensor(quiet, device=where), options.mode)
    )  # [4, T, S, K]
    order = _best_order(table[2], framewise) if options.permute else None
    if order is None:
        order = torch.arange(table.shape[2], device=table.device)[:, None]
        table = table[..., 0]
    else:
        chosen = order.T.expand(table.shape[1:3])[None, ..., None].expand(4, -1, -1, 1)
        table = table.gather(-1, chosen)[..., 0]
    if framewise:
        order = order.expand(-1, table.shape[1])
    sdr, isr, sir, sar = table.transpose(1, 2)
    return BSSScores(
        sdr=sdr,
        isr=isr,
        sir=sir,
        sar=sar,
        permutation=order,
        condition=torch.tensor(
            conditions if framewise else conditions[:1], dtype=torch.float64, device=where
        ),
    )


def _filters(blocks: Blocks, options: BSSOptions, device: torch.device | None) -> Filters:
    """Return the filters of the whole recording."""
    found, length = correlate(blocks(), options.filter_length, device)
    stems, channels, _ = next(iter(blocks()))[0].shape
    filters = solve(found, stems, permute=options.permute)
    small = stems * channels * length <= _MOST_WHOLE
    if options.as_rounded and filters.condition >= SINGULAR and small:
        whole = torch.cat([torch.stack([e, r.to(e)]) for e, r in blocks()], -1)
        same = museval_filters(whole, options.filter_length, permute=options.permute)
        filters.own.copy_(same.own)
        filters.every.copy_(same.every)
    return filters


def _same_filters(
    blocks: Blocks, filters: Filters, options: BSSOptions
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield energies, silence and condition of batches of frames with common filters."""
    device = filters.own.device
    if options.window is None:
        whole = Decomposition(filters, _SEGMENT, options.mode).whole(blocks(), device)
        yield (*whole, filters.condition)
        return
    decomposition = None
    for frames in _frames(blocks, options, filters.own.shape[1:4], device):
        if decomposition is None:
            decomposition = Decomposition(filters, frames.shape[-1], options.mode)
        yield decomposition.frames(frames), silent(frames), filters.condition


def _own_filters(
    blocks: Blocks, options: BSSOptions, device: torch.device | None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield energies, silence and conditions of batches of frames with their own filters."""
    stems, channels, _ = next(iter(blocks()))[0].shape
    for frames in _frames(blocks, options, (stems, stems, channels), device):
        quiet = silent(frames)
        found = correlate_frames(frames, options.filter_length)
        filters = solve(found, stems, permute=options.permute)
        singular = (filters.condition >= SINGULAR) & ~quiet.flatten(1).any(1)
        for frame in singular.nonzero().flatten().tolist() if options.as_rounded else ():
            same = museval_filters(frames[frame], options.filter_length, permute=options.permute)
            filters.own[frame], filters.every[frame] = same.own[0], same.every[0]
        decomposition = Decomposition(filters, frames.shape[-1], options.mode)
        yield decomposition.frames(frames), quiet, filters.condition


def _frames(
    blocks: Blocks, options: BSSOptions, sizes: tuple[int, ...], device: torch.device | None
) -> Iterator[Tensor]:
    """Yield frames ``[T, 2, S, C, n]``, as many at once as fit the memory."""
    assert options.window is not None
    stems, meets, channels = sizes
    each = 64 * stems * channels * (options.window + options.filter_length) * (1 + meets)
    if options.framewise:
        each += 24 * (stems * channels * options.filter_length) ** 2
    device = device or next(iter(blocks()))[0].device
    pieces = Pieces(
        blocks(),
        size=options.window,
        hop=options.window if options.hop is None else options.hop,
        at_once=max(1, _BYTES.get(device.type, _BYTES["cpu"]) // each),
        device=device,
    )
    none = True
    for frames in pieces:
        yield frames
        none = False
    if none:
        yield pieces.rest[None]


def _best_order(sir: Tensor, framewise: bool) -> Tensor:
    """Return the estimates ``[S, 1 or T]`` for which the mean SIR ``[T, S, K]`` is best."""
    values, stems = sir.cpu().numpy(), sir.shape[1]
    orders = np.array(list(itertools.permutations(range(stems))))
    means = np.stack([values[:, np.arange(stems), order].mean(1) for order in orders])
    if not framewise:
        means = means.mean(1, keepdims=True)
    # Where it is undefined, take the first order, as museval does.
    best = orders[np.argmax(means, axis=0)]
    return torch.from_numpy(best.T.copy()).to(sir.device)
