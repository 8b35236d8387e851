"""The TFC-TDF block of Kim et al., "Sound Demixing Challenge 2023: TFC-TDF-UNet v3".

arXiv 2306.09382. The idea is that of Choi et al., "Investigating U-Nets with Various Intermediate
Blocks for Spectrogram-based Singing Voice Separation" (ISMIR 2020): convolutions (time-frequency
convolution, TFC) see a neighbourhood, and a layer over all bins at once, the same for every frame
and map (time-distributed fully connected, TDF), sees harmonics wherever they are.
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
        """Return ``[B, W, bins_out, T]`` of features ``[B, W, bins_in, T]``."""
        batch, width, bins, count = features.shape
        # With channels last in memory this is a view, and the product has the same layout.
        flat = features.permute(0, 2, 3, 1).reshape(batch, bins, count * width)
        # Not `@`: where gradients are asked for, that transposes and copies, and what follows is
        # slow on a layout that is neither one nor the other.
        mixed = torch.bmm(self.weight.expand(batch, -1, -1), flat)
        return mixed.view(batch, self.out_features, count, width).permute(0, 3, 1, 2)


class TDF(nn.Sequential):
    """Two linear layers over frequency, narrower in between by ``factor``."""

    def __init__(self, width: int, bins: int, factor: int, style: Style) -> None:
        hidden = max(2, bins // factor)  # instance norms of one value are zero
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
        """Return ``[B, width_out, F, T]`` of features ``[B, width_in, F, T]``."""
        inner: Tensor = self.before(features)
        inner = self.after(inner + self.tdf(inner))
        shortcut: Tensor = self.shortcut(features)
        return inner + shortcut


class TfcTdfBlock(nn.Sequential):
    """Residual pairs of convolutions with a TDF between them.

    Differs from version 3 in that the shortcut is a 1x1 convolution only where the width changes.

    Args:
        width_in: feature maps in.
        width_out: feature maps out.
        layers: such pairs; 2 in version 3.
        style: norm and activation; preactivated, instance and gelu in version 3.
        bins: bins F of the features: the TDF fits no other number.
        factor: how much narrower the TDF is in between.
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
