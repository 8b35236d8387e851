"""The MultiRes block of Ibtehaz et al., "MultiResUNet: Rethinking the U-Net Architecture".

Ibtehaz and Rahman, "... for Multimodal Biomedical Image Segmentation", Neural Networks 2020.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .conv import Style, convolution


def multires_widths(width_out: int, layers: int) -> list[int]:
    """Return the width of every convolution: in proportion 1 : 2 : 3 ..., ``width_out`` in all."""
    parts = layers * (layers + 1) // 2
    if width_out < parts:
        raise ValueError(
            f"a MultiRes block of {layers} layers needs at least {parts} feature maps, "
            f"got {width_out}"
        )
    widths = [width_out * rank // parts for rank in range(1, layers)]
    return [*widths, width_out - sum(widths)]


class MultiResBlock(nn.Module):
    """A chain of 3x3 convolutions whose outputs, which see 3x3, 5x5 and 7x7, are concatenated.

    They have a sixth, a third and a half of the maps, which keeps the chain cheap. Beside it is a
    1x1 shortcut. The paper counts maps relative to a U-Net, times 1.67; here ``width_out`` is the
    actual width, which is 51, 105, ... in the paper's network.

    Args:
        width_in: feature maps in.
        width_out: feature maps out.
        layers: convolutions in the chain; 3 in the paper.
        style: norm and activation, which come after the convolutions.
    """

    def __init__(self, width_in: int, width_out: int, layers: int, style: Style) -> None:
        super().__init__()
        widths = multires_widths(width_out, layers)
        self.chain = nn.ModuleList(
            style.convolution(*pair) for pair in pairwise([width_in, *widths])
        )
        self.norm = style.normalise(width_out)
        self.shortcut = nn.Sequential(
            convolution(width_in, width_out, 1), style.normalise(width_out)
        )
        self.after = nn.Sequential(style.normalise(width_out), style.activate())

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, width_out, F, T]`` of ``[B, width_in, F, T]``."""
        outputs = []
        step = features
        for layer in self.chain:
            step = layer(step)
            outputs.append(step)
        body: Tensor = self.norm(torch.cat(outputs, 1)) + self.shortcut(features)
        result: Tensor = self.after(body)
        return result
