"""New mixtures of the stems in a batch: exchange of stems between items, and sums of them."""

from __future__ import annotations

import torch
from torch import Tensor

from .chance import Chance
from .config import BlendConfig, Effect


def remix(references: Tensor, config: Effect, chance: Chance) -> Tensor:
    """Return references ``[B, S, C, N]`` with stems exchanged between a share of the items.

    Each stem is permuted independently, so none is lost or repeated. The idea is from Uhlich et al.
    (ICASSP 2017).
    """
    items, stems = references.shape[:2]
    chosen = chance.chosen(config.share, items)
    order = torch.arange(items, device=references.device)[:, None].repeat(1, stems)
    order[chosen] = chosen[chance.orders(stems, len(chosen)).T]
    return _of_items(references, order)


def blend(references: Tensor, config: BlendConfig, chance: Chance) -> Tensor:
    """Return references ``[B, S, C, N]`` with stems of another item added, in a share of the items.

    Silent stems stay silent, so that the share of items without vocals does not change.
    """
    items, stems = references.shape[:2]
    chosen = chance.chosen(config.share, items)
    if items < 2 or not len(chosen):
        return references
    away = 1 + (chance.uniform((0, items - 1), len(chosen), stems).long() % (items - 1))
    partners = _of_items(references, (chosen[:, None] + away) % items)
    gains = chance.gain(config.decibels, len(chosen), stems, 1, 1)
    sounding = references[chosen].abs().amax((-2, -1), keepdim=True) > 0
    return references.index_add(0, chosen, partners * gains * sounding)


def _of_items(references: Tensor, order: Tensor) -> Tensor:
    """Return each stem from the item that ``order`` ``[K, S]`` names."""
    stems = torch.arange(references.shape[1], device=references.device)
    return references[order, stems]
