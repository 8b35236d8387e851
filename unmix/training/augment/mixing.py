"""What items of a batch give each other: new mixtures of the stems that are there already."""

from __future__ import annotations

import torch
from torch import Tensor

from .chance import Chance
from .config import BlendConfig, Effect


def remix(references: Tensor, config: Effect, chance: Chance) -> Tensor:
    """Return references ``[B, S, C, N]`` of which a share of the items trade stems.

    Every stem is dealt out by itself, so none is lost and none is doubled. The idea is as old as
    Uhlich et al. (ICASSP 2017).
    """
    items, stems = references.shape[:2]
    chosen = chance.chosen(config.share, items)
    order = torch.arange(items, device=references.device)[:, None].repeat(1, stems)
    order[chosen] = chosen[chance.orders(stems, len(chosen)).T]
    return _of_items(references, order)


def blend(references: Tensor, config: BlendConfig, chance: Chance) -> Tensor:
    """Return references ``[B, S, C, N]`` to whose stems a share of the items has others added.

    The other is the same stem of another item. A silent stem stays silent, so that there are as
    many items without a voice as before.
    """
    items, stems = references.shape[:2]
    chosen = chance.chosen(config.share, items)
    if items < 2 or not len(chosen):
        return references
    away = 1 + (chance.uniform((0, items - 1), len(chosen), stems).long() % (items - 1))
    partners = _of_items(references, (chosen[:, None] + away) % items)
    gains = chance.gain(config.decibels, len(chosen), stems, 1, 1)
    heard = references[chosen].abs().amax((-2, -1), keepdim=True) > 0
    return references.index_add(0, chosen, partners * gains * heard)


def _of_items(references: Tensor, order: Tensor) -> Tensor:
    """Return, for every item and stem, that stem of the item in ``order`` ``[K, S]``."""
    stems = torch.arange(references.shape[1], device=references.device)
    return references[order, stems]
