"""The recurrent residual block of Alom et al., "Recurrent Residual Convolutional Neural Network".

Alom et al., "... based on U-Net (R2U-Net) for Medical Image Segmentation" (arXiv 1802.06955); the
recurrent convolution is that of Liang and Hu (CVPR 2015).
"""

from __future__ import annotations

from torch import Tensor, nn

from .conv import Style, convolution

# The paper's t = 2: one pass over the input, two more with feedback.
_PASSES = 3


class RecurrentConvolution(nn.Module):
    """One convolution, applied several times to the input plus its own last output.

    Every pass has its own norm, because statistics differ between passes. Public implementations
    share one norm, whose statistics fit none of them.
    """

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.convolution = convolution(width, width)
        self.norms = nn.ModuleList(
            nn.Sequential(style.normalise(width), style.activate()) for _ in range(_PASSES)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, width, F, T]`` of the same shape."""
        state: Tensor = self.norms[0](self.convolution(features))
        for norm in self.norms[1:]:
            state = norm(self.convolution(features + state))
        return state


class RecurrentBlock(nn.Module):
    """A 1x1 change of width, then recurrent convolutions beside a shortcut.

    Args:
        width_in: feature maps in.
        width_out: feature maps out.
        layers: recurrent convolutions; 2 in the paper.
        style: norm and activation, which come after the convolutions.
    """

    def __init__(self, width_in: int, width_out: int, layers: int, style: Style) -> None:
        super().__init__()
        # This convolution has a bias, because no norm follows.
        self.enter = nn.Conv2d(width_in, width_out, 1)
        self.body = nn.Sequential(*(RecurrentConvolution(width_out, style) for _ in range(layers)))

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, width_out, F, T]`` of ``[B, width_in, F, T]``."""
        features = self.enter(features)
        body: Tensor = self.body(features)
        return features + body
