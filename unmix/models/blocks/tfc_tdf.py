"""The TFC-TDF block of Kim et al., "Sound Demixing Challenge 2023: TFC-TDF-UNet v3".

arXiv 2306.09382. The idea is that of Choi et al., "Investigating U-Nets with Various Intermediate
Blocks for Spectrogram-based Singing Voice Separation" (ISMIR 2020): convolutions (time-frequency
convolution, TFC) see a neighbourhood, and linear layers over all bins, the same for every frame and
map (time-distributed fully connected, TDF), see harmonics at any distance.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .conv import Style, change_width


class FrequencyLinear(nn.Linear):
    """A linear layer over the frequency axis, the same for every feature map and frame."""

    def __init__(self, bins_in: int, bins_out: int) -> None:
        super().__init__(bins_in, bins_out, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, W, bins_out, T]`` of ``[B, W, bins_in, T]``."""
        batch, width, bins, count = features.shape
        # In the channels-last layout this is a view, and the product has the same layout.
        flat = features.permute(0, 2, 3, 1).reshape(batch, bins, count * width)
        # With gradients, `@` transposes and copies into a layout that slows down later layers.
        mixed = torch.bmm(self.weight.expand(batch, -1, -1), flat)
        return mixed.view(batch, self.out_features, count, width).permute(0, 3, 1, 2)


class TDF(nn.Sequential):
    """Two linear layers over frequency with a bottleneck narrower by ``factor``."""

    def __init__(self, width: int, bins: int, factor: int, style: Style) -> None:
        hidden = max(2, bins // factor)  # the instance norm of a single value is zero
        super().__init__(
            style.around(FrequencyLinear(bins, hidden), width, width),
            style.around(FrequencyLinear(hidden, bins), width, width),
        )


class TfcTdfLayer(nn.Module):
    """Convolution, residual TDF, convolution, beside a shortcut."""

    def __init__(self, width_in: int, width_out: int, tdf: TDF, style: Style) -> None:
        super().__init__()
        self.shortcut = change_width(width_in, width_out)
        self.before = style.convolution(width_in, width_out)
        self.tdf = tdf
        self.after = style.convolution(width_out, width_out)

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, width_out, F, T]`` of ``[B, width_in, F, T]``."""
        inner: Tensor = self.before(features)
        inner = self.after(inner + self.tdf(inner))
        shortcut: Tensor = self.shortcut(features)
        return inner + shortcut


class TfcTdfBlock(nn.Sequential):
    """Pairs of convolutions with a TDF between them, each pair beside a shortcut.

    Unlike in version 3, the shortcut is a 1x1 convolution only where the width changes.

    Args:
        width_in: feature maps in.
        width_out: feature maps out.
        layers: pairs of convolutions; 2 in version 3.
        style: norm and activation; preactivated, instance and gelu in version 3.
        bins: bins F of the features; the TDF fits no other number.
        factor: by how much the TDF narrows.
    """

    def __init__(
        self, width_in: int, width_out: int, layers: int, style: Style, bins: int, factor: int
    ) -> None:
        widths = [width_in, *[width_out] * layers]
        super().__init__(
            *(
                TfcTdfLayer(*pair, TDF(width_out, bins, factor, style), style)
                for pair in pairwise(widths)
            )
        )
