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
    """One convolution, passed over several times: each time over the input plus its last output.

    Every pass has a norm of its own: statistics differ from pass to pass, and a shared norm, as in
    public implementations, learns an average that fits none of them.
    """

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.convolution = convolution(width, width)
        self.norms = nn.ModuleList(
            nn.Sequential(style.normalise(width), style.activate()) for _ in range(_PASSES)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return ``[B, width, F, T]`` of features of the same shape."""
        state: Tensor = self.norms[0](self.convolution(features))
        for norm in self.norms[1:]:
            state = norm(self.convolution(features + state))
        return state


class RecurrentBlock(nn.Module):
    """Recurrent convolutions one after another beside a shortcut, after a 1x1 change of width.

    Args:
        width_in: feature maps in.
        width_out: feature maps out.
        layers: recurrent convolutions; 2 in the paper.
        style: norm and activation; they come after the convolutions.
    """

    def __init__(self, width_in: int, width_out: int, layers: int, style: Style) -> None:
        super().__init__()
        # With a bias, unlike other convolutions here: no norm follows.
        self.enter = nn.Conv2d(width_in, width_out, 1)
        self.body = nn.Sequential(*(RecurrentConvolution(width_out, style) for _ in range(layers)))

    def forward(self, features: Tensor) -> Tensor:
        """Return ``[B, width_out, F, T]`` of features ``[B, width_in, F, T]``."""
        features = self.enter(features)
        body: Tensor = self.body(features)
        return features + body
