"""The short-time Fourier transform and its exact inverse, over any leading axes.

The inverse is the weighted overlap-add of Griffin and Lim, "Signal Estimation from Modified
Short-Time Fourier Transform" (IEEE TASSP 1984): frames are windowed again and divided by the summed
squared windows, so an untouched signal returns to rounding error whatever the hop length.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Where the summed squared windows fall below this, dividing by them would amplify rounding errors.
_LEAST_ENVELOPE = 1e-3


class STFT(nn.Module):
    """Frames of a signal under a periodic Hann window, centred on multiples of the hop length.

    A signal of N samples has T = ceil(N / hop_length) + 1 frames: the last one is centred on or
    after the end, so that every sample lies between two centres and the inverse is exact for any N
    >= 1. Outside the signal the transform sees zeros; reflection would refuse signals shorter than
    a window.

    Args:
        n_fft: window and transform length in samples.
        hop_length: samples between two frames; below n_fft, as the window is zero at its edge.

    Raises:
        ValueError: where the windows leave a gap, so that no inverse exists.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        if n_fft < 2 or not 1 <= hop_length < n_fft:
            raise ValueError(f"needs 1 <= hop_length < n_fft, got {hop_length} and {n_fft}")
        self.n_fft = n_fft
        self.hop_length = hop_length
        # In float64 first: the float32 window is then correctly rounded on every machine.
        window = torch.hann_window(n_fft, periodic=True, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)
        if _least_envelope(window, hop_length) < _LEAST_ENVELOPE:
            raise ValueError(f"hop_length {hop_length} is too long for n_fft {n_fft}: no inverse")

    @property
    def bins(self) -> int:
        """Number of frequency bins F, from 0 Hz to half the sample rate."""
        return self.n_fft // 2 + 1

    def frame_count(self, length: int) -> int:
        """Return T for a signal of ``length`` samples."""
        return math.ceil(length / self.hop_length) + 1

    def forward(self, samples: Tensor) -> Tensor:
        """Return complex frames ``[..., F, T]`` of real samples ``[..., N]``, N >= 1."""
        length = samples.shape[-1]
        if length < 1:
            raise ValueError("needs at least one sample")
        # |--n_fft/2--|------------ N ------------|--to the next hop--|--n_fft/2--|
        # centre of 0 ^                                    centre of T - 1 ^
        span = (self.frame_count(length) - 1) * self.hop_length
        left = self.n_fft // 2
        right = span - length + self.n_fft - left
        padded = F.pad(samples.reshape(-1, length), (left, right))
        frames = torch.stft(
            padded,
            self.n_fft,
            self.hop_length,
            window=self.window.to(samples.dtype),
            center=False,
            return_complex=True,
        )
        return frames.reshape(*samples.shape[:-1], *frames.shape[-2:])

    def inverse(self, frames: Tensor, length: int) -> Tensor:
        """Return samples ``[..., length]`` of complex frames ``[..., F, T]``, in one batched call.

        Args:
            frames: as many as ``forward`` makes of ``length`` samples.
            length: samples to return.
        """
        if frames.shape[-2:] != (self.bins, self.frame_count(length)):
            raise ValueError(
                f"expected frames [..., {self.bins}, {self.frame_count(length)}] "
                f"for {length} samples, got {tuple(frames.shape)}"
            )
        samples = torch.istft(
            frames.reshape(-1, *frames.shape[-2:]),
            self.n_fft,
            self.hop_length,
            window=self.window.to(frames.real.dtype),
            center=True,
            length=length,
        )
        return samples.reshape(*frames.shape[:-2], length)


def _least_envelope(window: Tensor, hop_length: int) -> float:
    """Return the smallest sum of squared windows between two neighbouring frame centres.

    Only the two neighbours count: at the start and at the end of a signal there are no others.
    """
    n_fft = window.numel()
    squared = window.square()
    envelope = torch.zeros(hop_length, dtype=window.dtype)
    after = squared[n_fft // 2 :][:hop_length]
    envelope[: after.numel()] += after
    # Sample t lies hop_length - t before the next centre.
    before = squared[: n_fft // 2][-hop_length:] if n_fft // 2 else squared[:0]
    envelope[hop_length - before.numel() :] += before
    return float(envelope.min())
