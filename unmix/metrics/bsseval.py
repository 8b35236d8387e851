"""BSS Eval of Vincent et al., "Performance Measurement in Blind Audio Source Separation", batched.

IEEE TASLP 2006 (``sources``: distortions by a filter of the reference itself are forgiven), and
Vincent et al., "First Stereo Audio Source Separation Evaluation Campaign" (ICA 2007) as BSS Eval v4
has it (``images``: one set of filters for the whole track, figures for every frame; Stöter et al.,
"The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018). An estimate is taken apart, by
least squares over filters of the references, into what is the reference, its filtered image, what
leaks from the others, and what is neither.

The figures are those of museval, on whatever device the tensors are, in float64. Signals of any
length are scored in bounded memory: they pass twice, block after block.
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
#: Condition from which on ISR, SIR and SAR hang on rounding errors. Below it they agree with
#: museval's to about a thousandth of a decibel, whatever the order of the sums.
SINGULAR = 1e13
# Samples, of all channels of all stems, whose filters can be had rounding for rounding: that takes
# them as a whole, and about a hundred bytes each.
_MOST_WHOLE = 1 << 25
# Samples that a recording is decomposed by where all of it is one frame.
_SEGMENT = 1 << 17
# Bytes of working memory for the frames that are scored together, by kind of device.
_BYTES = {"cpu": 1 << 27, "cuda": 1 << 31}


@dataclass(frozen=True, kw_only=True)
class BSSOptions:
    """Which of BSS Eval's figures; the defaults, with a window of a second, are museval's v4."""

    mode: Literal["images", "sources"] = "images"
    """``images`` for v3 and v4, ``sources`` for singing voice separation (``bss_eval_sources``)."""
    window: int | None = None
    """Samples of the frames that are scored one by one; what is left at the end is left out. The
    whole signal is one frame if not given, or if it is shorter."""
    hop: int | None = None
    """Samples from the start of a frame to that of the next; if not given, those of the window."""
    framewise: bool = False
    """Whether every frame has filters of its own, as in v3."""
    permute: bool = False
    """Whether to find the order of estimates with the best mean SIR; else it is the references'."""
    as_rounded: bool = True
    """Whether, where rounding errors decide, to make the very ones that museval makes. That is
    slow, takes up to three gigabytes, and is left out of what is longer than three minutes of two
    stereo stems at 44.1 kHz."""
    filter_length: int = FILTER_LENGTH
    """Taps of the distortion filters."""

    def __post_init__(self) -> None:
        for name in ("window", "hop", "filter_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least one sample, got {value}")


@dataclass(frozen=True)
class BSSScores:
    """Figures in dB, each ``[S, frames]``; NaN where a reference or an estimate is silent."""

    sdr: Tensor
    """Signal to all distortion."""
    isr: Tensor
    """Image to spatial distortion; NaN for ``sources``, which forgive it."""
    sir: Tensor
    """Signal to interference from the other references."""
    sar: Tensor
    """Signal to artefacts."""
    permutation: Tensor
    """Which estimate each reference was held against: ``[S, 1]``, framewise ``[S, frames]``."""
    condition: Tensor
    """About how singular the equations were: ``[1]``, framewise ``[frames]``.

    From :data:`SINGULAR` on, ISR, SIR and SAR hang on rounding errors, and for ``sources`` SDR
    too; infinite where float64 cannot tell the equations from singular ones.
    """


def bss_eval(
    *, estimates: Tensor, references: Tensor, options: BSSOptions | None = None
) -> BSSScores:
    """Return BSS Eval's figures of every stem.

    Args:
        estimates: samples ``[S, C, N]``.
        references: likewise.
        options: by default those of the whole signal as one frame.

    Raises:
        ValueError: for shapes that differ or are not ``[S, C, N]``, and for no samples at all.
    """
    return bss_eval_blocks(lambda: [(estimates, references)], options, estimates.device)


def bss_eval_blocks(
    blocks: Blocks,
    options: BSSOptions | None = None,
    device: torch.device | None = None,
) -> BSSScores:
    """Return BSS Eval's figures of signals that pass in blocks, in bounded memory.

    Args:
        blocks: begins a pass, and is called a few times. Gives estimates and references
            ``[S, C, n]``, of any number of samples, in their order.
        options: see there.
        device: where to work; where the blocks are, if not given.

    Raises:
        ValueError: for shapes that differ or are not ``[S, C, n]``, and for no samples at all.
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
        # As plain numbers: small tensors that stay, between large ones that go, would keep the
        # allocator from using memory again, and an hour would take gigabytes.
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
    """Yield energies, what is silent, and the condition, of some frames after others."""
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
    """Yield energies, what is silent, and conditions, of frames that have each their filters."""
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
    """Yield frames ``[T, 2, S, C, n]``: as many as there is memory for."""
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
    # Where it is not defined the first order is taken, as in museval.
    best = orders[np.argmax(means, axis=0)]
    return torch.from_numpy(best.T.copy()).to(sir.device)
