"""The U-Net of Jansson et al., "Singing Voice Separation with Deep U-Net Convolutional Networks".

ISMIR 2017. An image-to-image network on the mixture's magnitudes: strided convolutions halve time
and frequency while the width doubles, transposed ones undo it, and every level hands its output
across by concatenation. The last layer is a mask in [0, 1]; the estimate keeps the mixture's phase.

The paper's form is ``stems = ["vocals"]`` (one network per stem), 8192 Hz mono, n_fft 1024,
hop_length 768, 128 frames, input exponent 1. Depth, width, channels, rate and stems are free here.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ._base import MaskModel, SpectrogramConfig
from ._registry import register

# A spectrogram's peaks stand some twenty times above its mean: dividing by that many means brings
# the input near [0, 1], as the paper has it, without one loud bin deciding the level of all others.
_PEAK_OVER_MEAN = 20.0
# Added to the level, in the unit of magnitudes: silence stays zero instead of becoming 0 / 0.
_SILENCE = 1e-6


class UNetConfig(SpectrogramConfig):
    """Settings of the U-Net; the defaults are a full-band stereo form of the paper's."""

    width: int = Field(default=16, ge=1)
    """Feature maps after the first layer; doubles with every level."""
    depth: int = Field(default=6, ge=1)
    """Levels: each halves time and frequency."""
    kernel: Literal[3, 5, 7] = 5
    """Kernel size on both axes; odd, so that halving and doubling meet again."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of features dropped in the first three decoder layers, in training."""
    input_exponent: float = Field(default=0.5, gt=0, le=1)
    """Compression of the input's magnitudes; 1 in the paper."""
    level: Literal["mean", "max"] = "mean"
    """What the chunk's magnitudes are divided by; the paper's is the maximum."""
    frequency_plane: bool = True
    """Whether a plane with each bin's position joins the input: strided convolutions cannot tell a
    bass from a flute by position otherwise. The paper has none."""
    ceiling: float = Field(default=1.0, gt=0, le=1)
    """Largest value of a mask. A network trained on L1 is a little too sure of itself where the
    phase is wrong; a value just below 1, found after training, costs less error than it makes."""


@register("unet", UNetConfig)
class UNet(MaskModel):
    """Strided convolutions, skips by concatenation, one mask per stem and channel."""

    config: UNetConfig
    levelled = True

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        widths = [config.width * 2**level for level in range(config.depth)]
        planes = config.audio_channels + config.frequency_plane
        masks = len(config.stems) * config.audio_channels
        self.encoder = nn.ModuleList(
            _Down(narrow, wide, config.kernel)
            for narrow, wide in zip([planes, *widths], widths, strict=False)
        )
        # The deepest decoder layer sees the bottleneck alone, the others [decoder, skip].
        narrowing = widths[::-1]
        inputs = [narrowing[0], *(2 * width for width in narrowing[1:])]
        dropouts = [config.dropout if rank < 3 else 0.0 for rank in range(config.depth - 1)]
        self.decoder = nn.ModuleList(
            _Up(wide, narrow, config.kernel, dropout)
            for wide, narrow, dropout in zip(inputs, narrowing[1:], dropouts, strict=False)
        )
        self.decoder.append(nn.Sequential(_double(inputs[-1], masks, config.kernel)))

    def predict_mask(self, frames: Tensor) -> Tensor:
        """Return the mask ``[B, S, C, F, T]`` in [0, ceiling] of complex frames ``[B, C, F, T]``.

        The bin at 0 Hz is not the network's: it has no voice in it, and its mask is zero.
        """
        features = self._features(frames[:, :, 1:].abs())  # [B, C, F - 1, T]
        bins, count = features.shape[-2:]
        features = self._pad(features)
        skips = []
        for down in self.encoder:
            features = down(features)
            skips.append(features)
        skips.pop()
        for rank, up in enumerate(self.decoder):
            features = up(features if rank == 0 else torch.cat([features, skips.pop()], 1))
        mask = self.config.ceiling * torch.sigmoid(features[..., :bins, :count].float())
        mask = mask.unflatten(1, (len(self.stems), self.audio_channels))
        return F.pad(mask, (0, 0, 1, 0))

    def _features(self, magnitude: Tensor) -> Tensor:
        """Return levelled, compressed magnitudes, with the frequency plane where there is one."""
        if self.config.level == "max":
            level = magnitude.amax((1, 2, 3), keepdim=True)
        else:
            level = _PEAK_OVER_MEAN * _mean_of_sound(magnitude)
        features = (magnitude / (level + _SILENCE)) ** self.config.input_exponent
        if self.config.frequency_plane:
            features = torch.cat([features, _frequency_plane(features)], 1)
        return features

    def _pad(self, features: Tensor) -> Tensor:
        """Zero-pad bins and frames to what ``depth`` halvings divide."""
        step = 2**self.config.depth
        bins, count = features.shape[-2:]
        padded = F.pad(features, (0, -count % step, 0, -bins % step))
        # Convolutions on the CPU are a third faster on this layout.
        return padded.contiguous(memory_format=torch.channels_last)


def _mean_of_sound(magnitude: Tensor) -> Tensor:
    """Return the mean ``[B, 1, 1, 1]`` over the frames that are not silent.

    The end of a song and a short clip are filled up with zeros: those must not make it look soft.
    """
    frames = magnitude.mean((1, 2), keepdim=True)  # [B, 1, 1, T]
    sounding = (frames > 0).sum(3, keepdim=True).clamp(min=1)
    return frames.sum(3, keepdim=True) / sounding


def _frequency_plane(features: Tensor) -> Tensor:
    """Return ``[B, 1, F, T]``: position on a logarithmic axis, from 0 at the lowest bin to 1."""
    batch, _, bins, count = features.shape
    position = torch.arange(1, bins + 1, device=features.device, dtype=features.dtype).log2()
    position = position / position[-1].clamp(min=1)
    return position.view(1, 1, bins, 1).expand(batch, 1, bins, count)


class _Down(nn.Sequential):
    """Convolve and halve, normalise, leak."""

    def __init__(self, width_in: int, width_out: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(width_in, width_out, kernel, stride=2, padding=kernel // 2),
            nn.BatchNorm2d(width_out),
            nn.LeakyReLU(0.2, inplace=True),
        )


class _Up(nn.Sequential):
    """Double and convolve, normalise, rectify, drop."""

    def __init__(self, width_in: int, width_out: int, kernel: int, dropout: float) -> None:
        super().__init__(
            _double(width_in, width_out, kernel),
            nn.BatchNorm2d(width_out),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )


def _double(width_in: int, width_out: int, kernel: int) -> nn.ConvTranspose2d:
    """Return the convolution that doubles both axes."""
    return nn.ConvTranspose2d(
        width_in, width_out, kernel, stride=2, padding=kernel // 2, output_padding=1
    )
