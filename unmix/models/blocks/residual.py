"""The residual block of Zhang et al., "Road Extraction by Deep Residual U-Net" (IEEE GRSL 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from .conv import PlainBlock, Style, change_width


class ResidualBlock(nn.Module):
    """Convolutions beside a shortcut, which is a 1x1 convolution where the width changes.

    Meant for a preactivated style, as in the paper, which leaves the shortcut free of activations.

    Args:
        width_in: feature maps in.
        width_out: feature maps out.
        layers: convolutions; 2 in the paper.
        style: norm and activation.
    """

    def __init__(self, width_in: int, width_out: int, layers: int, style: Style) -> None:
        super().__init__()
        self.shortcut = change_width(width_in, width_out)
        self.body = PlainBlock(width_in, width_out, layers, style)

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, width_out, F, T]`` of ``[B, width_in, F, T]``."""
        body: Tensor = self.body(features)
        shortcut: Tensor = self.shortcut(features)
        return body + shortcut
