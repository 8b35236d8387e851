"""The dense block of Guan et al., "Fully Dense UNet for 2-D Sparse Photoacoustic Tomography".

IEEE Journal of Biomedical and Health Informatics 2020; the idea is that of Huang et al., "Densely
Connected Convolutional Networks" (CVPR 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .conv import Style, change_width


def dense_growth(width_out: int, layers: int) -> int:
    """Return the number of feature maps that each layer adds.

    Raises:
        ValueError: the layers cannot share the width equally.
    """
    if width_out % (2 * layers):
        raise ValueError(
            f"a dense block of {layers} layers needs a multiple of {2 * layers} feature maps, "
            f"got {width_out}"
        )
    return width_out // (2 * layers)


class DenseBlock(nn.Module):
    """Every layer sees the outputs of all layers before it; together they double the width.

    A 1x1 convolution brings the input to half of ``width_out`` if needed. (In the paper, it is
    needed only in the decoder.) Each layer is a 1x1 convolution to that half and a 3x3 convolution
    to the ``width_out / 2 / layers`` maps that it adds.

    Args:
        width_in: feature maps in.
        width_out: feature maps out; a multiple of ``2 * layers``.
        layers: 4 in the paper.
        style: norm and activation.
    """

    def __init__(self, width_in: int, width_out: int, layers: int, style: Style) -> None:
        super().__init__()
        half, growth = width_out // 2, dense_growth(width_out, layers)
        self.squeeze = change_width(width_in, half)
        self.layers = nn.ModuleList(
            nn.Sequential(
                style.convolution(half + rank * growth, half, 1), style.convolution(half, growth)
            )
            for rank in range(layers)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, width_out, F, T]`` of ``[B, width_in, F, T]``."""
        known: Tensor = self.squeeze(features)
        for layer in self.layers:
            known = torch.cat([known, layer(known)], 1)
        return known
