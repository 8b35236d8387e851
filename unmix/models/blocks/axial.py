"""Axial attention of Ho et al., "Axial Attention in Multidimensional Transformers" (2019).

A transformer at the bottom of a U-Net, as in Chen et al., "TransUNet" (arXiv 2102.04306), but along
one axis at a time: first over the frames of every bin, then over the bins of every frame. Positions
are encoded by rotating queries and keys (Su et al., "RoFormer", 2021). Unlike TransUNet's learned
table, they fit any number of bins and frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Wavelength scale of the slowest rotation, in positions; far above the number of bins or frames.
_LONGEST_WAVE = 10000.0
_MLP_FACTOR = 4


def rotate_by_position(features: Tensor) -> Tensor:
    """Rotate the pairs of features ``[..., L, D]``, D even, by angles that grow with position."""
    length, width = features.shape[-2:]
    pairs = torch.arange(width // 2, device=features.device)
    angle = torch.arange(length, device=features.device).unsqueeze(1) * _LONGEST_WAVE ** (
        -2 * pairs / width
    )
    cos, sin = angle.cos().to(features.dtype), angle.sin().to(features.dtype)
    first, second = features.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


class SelfAttention(nn.Module):
    """Multi-head attention of Vaswani et al. over the last axis but one, with rotary positions.

    Args:
        width: feature maps; a multiple of ``2 * heads``.
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(
                f"width must be a multiple of {2 * heads} for {heads} attention heads, got {width}"
            )
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.leave = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, M, L, W]`` of the same shape: M sequences of length L."""
        split = self.queries_keys_values(features).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = split.flatten(0, 1).permute(2, 0, 3, 1, 4)  # [B * M, heads, L, D]
        mixed = F.scaled_dot_product_attention(
            rotate_by_position(queries), rotate_by_position(keys), values
        )
        result: Tensor = self.leave(mixed.transpose(1, 2).flatten(2).view_as(features))
        return result


class AxialLayer(nn.Module):
    """Attention over frames, attention over bins, two linear layers; each beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.LayerNorm(width), SelfAttention(width, heads))
        self.frequency = nn.Sequential(nn.LayerNorm(width), SelfAttention(width, heads))
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, _MLP_FACTOR * width),
            nn.GELU(),
            nn.Linear(_MLP_FACTOR * width, width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, F, T, W]`` of the same shape."""
        features = features + self.time(features)
        features = features + self.frequency(features.transpose(1, 2)).transpose(1, 2)
        result: Tensor = features + self.mlp(features)
        return result


class AxialTransformer(nn.Module):
    """Axial layers over feature maps of any size.

    Args:
        width: feature maps; a multiple of ``2 * heads``.
        layers: axial layers.
        heads: attention heads.
    """

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(AxialLayer(width, heads) for _ in range(layers)))

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``[B, W, F, T]`` of the same shape."""
        mixed: Tensor = self.layers(features.permute(0, 2, 3, 1))
        return mixed.permute(0, 3, 1, 2)
