"""The skeleton that U-Nets have in common, after Ronneberger et al. (MICCAI 2015), with free slots.

An encoder of blocks, each level half the size of the one above; a bottleneck; a decoder of nodes,
each of which brings up what is below, meets what comes across and passes a block. With one node a
level it is the U-Net; nested, it is a triangle of them.
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
    """What goes into the slots: each makes one part, of the widths and sizes it is told."""

    style: Style
    """Norm and activation of what the skeleton itself adds."""
    block: Callable[[int, int, int], nn.Module]
    """Of the width in, the width out, and the bins of the features."""
    down: Callable[[int, int], Halve | Pool]
    """Of the width in and, where it changes it, the width out."""
    up: Callable[[int, int], nn.Module]
    """Of the width in and the width out."""
    skip: Callable[[int, int, int], Skip]
    """Of the width, the levels below, and how many features come across."""
    bottleneck: Callable[[int], nn.Module]
    """Of the width: what follows the deepest block."""
    nested: bool = False
    """Whether every level is decoded from every depth, as in Zhou et al., "UNet++: A Nested U-Net
    Architecture for Medical Image Segmentation" (DLMIA 2018).

    Written from the paper's idea alone. The authors' own implementation has a non-commercial
    licence and names a patent claim: whether that concerns a use of this form is the user's to
    check."""


class Skeleton(nn.Module):
    """A U-Net from ``planes`` to ``widths[0]`` feature maps of the same size.

    Where the style is preactivated, a convolution comes first and a norm and an activation last:
    norms and activations of the first block would otherwise meet the bare input.

    Args:
        planes: feature maps in.
        widths: feature maps of every level, the deepest last.
        bins: bins F of the input; F and T must be divisible by 2 to the levels below the first.
        parts: what goes into the slots.
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
        """Return ``[B, widths[0], F, T]`` of features ``[B, planes, F, T]``."""
        known = self._encode(self.stem(features))
        for (level, _), node in zip(self._order, self.nodes, strict=True):
            known[level].append(node(known[level + 1][-1], known[level]))
        result: Tensor = self.closing(known[0][-1])
        return result

    def _encode(self, features: Tensor) -> list[list[Tensor]]:
        """Return, of every level, the features known there so far: the encoder's."""
        features = self.blocks[0](features)
        known = [[features]]
        for down, block in zip(self.downs, self.blocks[1:], strict=True):
            features = block(down(features))
            known.append([features])
        known[-1] = [self.bottleneck(features)]
        return known


def _decoding_order(depth: int, nested: bool) -> Iterator[tuple[int, int]]:
    """Yield, of every node in turn, its level and how many features come across to it."""
    # plain: 2, 1, 0           nested: 0 1 2, then 0 1, then 0: the last node of the level below
    # 0 ------------> 0        0 -> 0 -> 0 -> 0     has always one feature less behind it
    #   1 --------> 1           `1 -> 1 -> 1'
    #     2 ----> 2              `2 -> 2'
    #       3 --'                 `3'
    if not nested:
        yield from ((level, 1) for level in reversed(range(depth)))
        return
    for across in range(1, depth + 1):
        yield from ((level, across) for level in range(depth - across + 1))


class _Node(nn.Module):
    """Bring up, meet, pass a block."""

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
