"""The short-time Fourier transform and its exact inverse, over any leading axes.

The inverse is the weighted overlap-add of Griffin and Lim, "Signal Estimation from Modified
Short-Time Fourier Transform" (IEEE TASSP 1984): frames are windowed again and divided by the summed
squared windows, so that unmodified frames give the signal back to rounding error at any hop length.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Dividing by a smaller sum of squared windows would amplify rounding errors.
_LEAST_ENVELOPE = 1e-3

Padding = Literal["zeros", "reflect", "full"]


class STFT(nn.Module):
    """Frames of a signal under a periodic Hann window, ``hop_length`` samples apart.

    ``padding`` says where the frames of N samples lie, and what surrounds the signal:

    - ``zeros``: frame 0 is centred on the first sample, and the last of T = ceil(N / hop_length)
      + 1 frames on or after the end, so that every sample lies between two centres. Zeros surround
      the signal, which may be shorter than a window.
    - ``reflect``: frames are centred, the signal is mirrored at its ends, and T = N // hop_length
      + 1, as in librosa and torch. A signal that is too short to be mirrored, or whose end no frame
      would cover, is padded with zeros first.
    - ``full``: frame 0 ends where the signal begins, and the last of T = ceil((N + n_fft) /
      hop_length) frames begins before the signal ends, as in Spleeter.

    The inverse is exact for any N >= 1.

    Args:
        n_fft: window and transform length in samples.
        hop_length: samples between two frames; below n_fft, as the window is zero at its edge.
        padding: one of the above.

    Raises:
        ValueError: the hop is too long for an inverse to exist.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int, padding: Padding = "zeros") -> None:
        super().__init__()
        if n_fft < 2 or not 1 <= hop_length < n_fft:
            raise ValueError(
                f"expected 1 <= hop_length < n_fft, got hop_length {hop_length} and n_fft {n_fft}"
            )
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.padding = padding
        # Computed in float64, so that the float32 window is correctly rounded on every machine.
        window = torch.hann_window(n_fft, periodic=True, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)
        if _least_envelope(window, hop_length) < _LEAST_ENVELOPE:
            raise ValueError(
                f"hop_length {hop_length} is too long to invert; use less with n_fft {n_fft}"
            )

    @property
    def bins(self) -> int:
        """Number of frequency bins F, from 0 Hz to half the sample rate."""
        return self.n_fft // 2 + 1

    def frequencies(self, sample_rate: int) -> Tensor:
        """Return the frequency of every bin ``[F]``, in Hz."""
        return torch.arange(self.bins, device=self.window.device) * (sample_rate / self.n_fft)

    def frame_count(self, length: int) -> int:
        """Return T for a signal of ``length`` samples."""
        if self.padding == "full":
            return math.ceil((length + self.n_fft) / self.hop_length)
        if self.padding == "reflect":
            return self._mirrored(length) // self.hop_length + 1
        return math.ceil(length / self.hop_length) + 1

    def length(self, frames: int) -> int:
        """Return how many samples fill exactly ``frames`` frames; at least one."""
        lead = self.n_fft if self.padding == "full" else self.hop_length
        return max(1, frames * self.hop_length - lead)

    def forward(self, samples: Tensor) -> Tensor:
        """Return complex frames ``[..., F, T]`` of real samples ``[..., N]``, N >= 1."""
        length = samples.shape[-1]
        if length < 1:
            raise ValueError("expected at least one sample")
        frames = torch.stft(
            self._pad(samples.reshape(-1, length)),
            self.n_fft,
            self.hop_length,
            window=self.window.to(samples.dtype),
            center=False,
            return_complex=True,
        )
        return frames.reshape(*samples.shape[:-1], *frames.shape[-2:])

    def inverse(self, frames: Tensor, length: int) -> Tensor:
        """Return samples ``[..., length]`` of complex frames ``[..., F, T]``.

        Args:
            frames: as many as ``forward`` returns for ``length`` samples.
            length: number of samples to return.

        Raises:
            ValueError: the number of bins or frames does not fit ``length``.
        """
        if frames.shape[-2:] != (self.bins, self.frame_count(length)):
            raise ValueError(
                f"expected frames [..., {self.bins}, {self.frame_count(length)}] "
                f"for {length} samples, got {tuple(frames.shape)}"
            )
        # torch starts at the centre of the first frame: with "full", half a window too early.
        skipped = self.n_fft - self.n_fft // 2 if self.padding == "full" else 0
        samples = torch.istft(
            frames.reshape(-1, *frames.shape[-2:]),
            self.n_fft,
            self.hop_length,
            window=self.window.to(frames.real.dtype),
            center=True,
            length=length + skipped,
        )
        return samples[:, skipped:].reshape(*frames.shape[:-2], length)

    def _pad(self, samples: Tensor) -> Tensor:
        """Return padded samples; frame t is cut from them at ``t * hop_length``."""
        # |--n_fft/2--|------------ N ------------|--to the next hop--|--n_fft/2--|   zeros
        # centre of 0 ^                                    centre of T - 1 ^
        length = samples.shape[-1]
        left = self.n_fft if self.padding == "full" else self.n_fft // 2
        if self.padding == "reflect":
            whole = F.pad(samples, (0, self._mirrored(length) - length))
            return F.pad(whole, (left, self.n_fft - left), mode="reflect")
        span = (self.frame_count(length) - 1) * self.hop_length + self.n_fft
        return F.pad(samples, (left, span - left - length))

    def _mirrored(self, length: int) -> int:
        """Return the length of the signal, padded with zeros as far as mirroring it requires."""
        # Samples more than a quarter window past the last centre would hardly be covered.
        gap = length % self.hop_length
        filled = length if gap <= self.n_fft // 4 else length - gap + self.hop_length
        return max(filled, self.n_fft - self.n_fft // 2 + 1)


def _least_envelope(window: Tensor, hop_length: int) -> float:
    """Return the smallest sum of squared windows between two neighbouring frame centres.

    Only these two frames count: there are no others at the start and the end of a signal.
    """
    n_fft = window.numel()
    squared = window.square()
    envelope = torch.zeros(hop_length, dtype=window.dtype)
    after = squared[n_fft // 2 :][:hop_length]
    envelope[: after.numel()] += after
    # Sample t is hop_length - t samples before the next centre.
    before = squared[: n_fft // 2][-hop_length:] if n_fft // 2 else squared[:0]
    envelope[hop_length - before.numel() :] += before
    return float(envelope.min())
