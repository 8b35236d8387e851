"""The skeleton that U-Nets share, after Ronneberger et al. (MICCAI 2015), with exchangeable parts.

An encoder of blocks, in which each level has half the size of the one above; a bottleneck; and a
decoder of nodes, each of which doubles the features below, joins the skips and applies a block. The
U-Net has one node per level, the nested U-Net a triangle of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from .conv import Style, convolution
from .resample import Halve, Pool
from .skips import Skip


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Functions that make the parts of a skeleton."""

    style: Style
    """Norm and activation of the skeleton's own layers."""
    block: Callable[[int, int, int], nn.Module]
    """Makes a block from the width in, the width out and the bins of the features."""
    down: Callable[[int, int], Halve | Pool]
    """Makes the layer that halves, from the width in and the width out if it widens."""
    up: Callable[[int, int], nn.Module]
    """Makes the layer that doubles, from the width in and the width out."""
    skip: Callable[[int, int, int], Skip]
    """Makes a skip from the width, the number of levels below and that of skipped features."""
    bottleneck: Callable[[int], nn.Module]
    """Makes the layer after the deepest block, from the width."""
    nested: bool = False
    """Whether every level is decoded from every depth, as in Zhou et al., "UNet++: A Nested U-Net
    Architecture for Medical Image Segmentation" (DLMIA 2018).

    Written from the paper alone. The authors' own implementation has a non-commercial licence and
    mentions a patent claim: check whether it concerns your use."""


class Skeleton(nn.Module):
    """A U-Net from ``planes`` to ``widths[0]`` feature maps of the same size.

    With a preactivated style, a convolution comes first, so that the first norm and activation do
    not act on the input itself, and a norm and an activation come last.

    Args:
        planes: feature maps in.
        widths: feature maps of every level, the deepest last.
        bins: bins F of the input; F and T must be multiples of ``2 ** (len(widths) - 1)``.
        parts: functions that make the parts.
    """

    def __init__(self, planes: int, widths: Sequence[int], bins: int, parts: Parts) -> None:
        super().__init__()
        self.stem: nn.Module = nn.Identity()
        self.closing: nn.Module = nn.Identity()
        width = planes
        if parts.style.preactivated:
            self.stem = convolution(planes, widths[0])
            self.closing = nn.Sequential(parts.style.normalise(widths[0]), parts.style.activate())
            width = widths[0]
        self.downs = nn.ModuleList()
        self.blocks = nn.ModuleList()
        for level, level_width in enumerate(widths):
            if level:
                down = parts.down(widths[level - 1], level_width)
                self.downs.append(down)
                width = down.width_out
            self.blocks.append(parts.block(width, level_width, bins >> level))
        self.bottleneck = parts.bottleneck(widths[-1])
        self._order = list(_decoding_order(len(widths) - 1, parts.nested))
        self.nodes = nn.ModuleList(
            _Node(widths, level, across, bins, parts) for level, across in self._order
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, widths[0], F, T]`` of ``[B, planes, F, T]``."""
        known = self._encode(self.stem(features))
        for (level, _), node in zip(self._order, self.nodes, strict=True):
            known[level].append(node(known[level + 1][-1], known[level]))
        result: Tensor = self.closing(known[0][-1])
        return result

    def _encode(self, features: Tensor) -> list[list[Tensor]]:
        """Return the encoder's features of every level, each in a list that nodes append to."""
        features = self.blocks[0](features)
        known = [[features]]
        for down, block in zip(self.downs, self.blocks[1:], strict=True):
            features = block(down(features))
            known.append([features])
        known[-1] = [self.bottleneck(features)]
        return known


def _decoding_order(depth: int, nested: bool) -> Iterator[tuple[int, int]]:
    """Yield the level of every node in turn, and how many features are skipped to it."""
    # plain: 2, 1, 0           nested: 0 1 2, then 0 1, then 0: a node takes the latest features
    # 0 ------------> 0        0 -> 0 -> 0 -> 0     of the level below
    #   1 --------> 1           `1 -> 1 -> 1'
    #     2 ----> 2              `2 -> 2'
    #       3 --'                 `3'
    if not nested:
        yield from ((level, 1) for level in reversed(range(depth)))
        return
    for across in range(1, depth + 1):
        yield from ((level, across) for level in range(depth - across + 1))


class _Node(nn.Module):
    """Double the features below, join the skips, apply a block."""

    def __init__(
        self, widths: Sequence[int], level: int, across: int, bins: int, parts: Parts
    ) -> None:
        super().__init__()
        width = widths[level]
        self.up = parts.up(widths[level + 1], width)
        self.skip = parts.skip(width, len(widths) - 1 - level, across)
        self.block = parts.block(self.skip.parts * width, width, bins >> level)

    def forward(self, deeper: Tensor, across: list[Tensor]) -> Tensor:
        result: Tensor = self.block(self.skip(self.up(deeper), across))
        return result
