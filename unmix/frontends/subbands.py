"""Four sub-bands at a quarter of the sample rate, and back: a cosine-modulated filterbank.

Liu et al., "Channel-wise Subband Input for Better Voice and Accompaniment Separation on High
Resolution Music" (Interspeech 2020): a network that sees the bands of the waveform as channels has
a quarter of the bins, and can treat treble and bass differently.

The filters are our own, after Koilpillai and Vaidyanathan, "Cosine-Modulated FIR Filter Banks
Satisfying Perfect Reconstruction" (IEEE TSP 1992). One 64-tap low-pass prototype is shifted to the
middle of every band. Every eighth tap of it belongs to one of eight short filters, which come in
pairs and are built from rotations and delays: the bank gives the signal back exactly for any
angles of rotation. The angles here are those with the deepest stop band.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .stft import STFT, Padding

#: Bands, and samples of the mixture for each sample of a band.
BANDS = 4
_TAPS = 64
# Samples by which the first tap of a filter precedes the band's sample, so that the signal comes
# back without delay and all filters that see one of its samples are computed.
_LEAD = _TAPS - BANDS
# In radians. They minimise the prototype's energy above an eighth of the sample rate, which is
# 72 dB below the whole, by L-BFGS from 32 random starts (two thirds of which end in worse minima).
# A test finds them again from a start nearby.
_ANGLES = (
    (2.17444, -1.68733, -1.98958, -1.18011, -2.38022, -1.61793, 2.68565, 1.63756),
    (-1.06968, 2.32272, -1.64981, 1.20974, 1.93412, -2.33202, 1.47209, 2.03909),
)


class PQMF(nn.Module):
    """Samples to ``BANDS`` bands at a quarter of the rate, lowest first, and back.

    Synthesis after analysis gives the signal back to rounding error, without delay. The filters
    are part of a model's state, because published weights come with filters of their own.
    """

    analysis_filters: Tensor
    """``[band, tap]``, a gain of 1 in the middle of a band."""
    synthesis_filters: Tensor
    """``[band, tap]``, in time."""

    def __init__(self) -> None:
        super().__init__()
        filters = _modulate(prototype(torch.tensor(_ANGLES, dtype=torch.float64)))
        self.register_buffer("analysis_filters", (filters / 2).float())
        self.register_buffer("synthesis_filters", (filters * 2).float())

    def band_length(self, length: int) -> int:
        """Return the number of samples M in each band of a signal of ``length`` samples."""
        return math.ceil(length / BANDS) + _TAPS // BANDS

    def analysis(self, samples: Tensor) -> Tensor:
        """Return the bands ``[..., BANDS, M]`` of samples ``[..., N]``."""
        # |--60 zeros--|-------------- N --------------|--to a multiple of 4--|--64 zeros--|
        # |---- taps of 0 ----|                                      |---- taps of M - 1 ---|
        length = samples.shape[-1]
        after = -length % BANDS + _TAPS
        padded = F.pad(samples.reshape(-1, length), (_LEAD, after))
        windows = padded.unfold(-1, _TAPS, BANDS).transpose(1, 2)  # [..., tap, M]
        bands = _product(self.analysis_filters, windows)
        return bands.reshape(*samples.shape[:-1], *bands.shape[-2:])

    def synthesis(self, bands: Tensor, length: int) -> Tensor:
        """Return samples ``[..., length]`` of bands ``[..., BANDS, M]``."""
        if bands.shape[-2:] != (BANDS, self.band_length(length)):
            raise ValueError(
                f"expected bands [..., {BANDS}, {self.band_length(length)}] "
                f"for {length} samples, got {tuple(bands.shape)}"
            )
        windows = _product(self.synthesis_filters.T, bands.reshape(-1, *bands.shape[-2:]))
        span = BANDS * (bands.shape[-1] - 1) + _TAPS
        samples = F.fold(windows, (1, span), (1, _TAPS), stride=(1, BANDS))  # overlap-add
        return samples[:, 0, 0, _LEAD : _LEAD + length].reshape(*bands.shape[:-2], length)


class SubbandSTFT(STFT):
    """Frames of the four bands of a signal, band after band along the frequency axis.

    Axis F holds the bins of the lowest band, then those of the next. ``unflatten(-2, (BANDS, -1))``
    splits it into bands again.

    Args:
        n_fft: window length in samples of a band.
        hop_length: samples of a band between two frames.
        padding: what surrounds the bands; see ``STFT``.
    """

    def __init__(self, n_fft: int, hop_length: int, padding: Padding = "zeros") -> None:
        super().__init__(n_fft, hop_length, padding)
        self.filterbank = PQMF()
        self.of_band = STFT(n_fft, hop_length, padding)

    @property
    def bins(self) -> int:
        """Number of bins F in all bands together."""
        return BANDS * self.of_band.bins

    def frequencies(self, sample_rate: int) -> Tensor:
        """Return the frequency in Hz of every bin ``[F]``, for a mixture at ``sample_rate``."""
        within = torch.linspace(0, 1, self.of_band.bins)
        # Decimation mirrors every other band: its highest frequency comes first.
        bands = [band + (within.flip(0) if band % 2 else within) for band in range(BANDS)]
        return torch.cat(bands) * (sample_rate / 2 / BANDS)

    def frame_count(self, length: int) -> int:
        """Return T for a signal of ``length`` samples."""
        return self.of_band.frame_count(self.filterbank.band_length(length))

    def length(self, frames: int) -> int:
        """Return how many samples fill exactly ``frames`` frames; at least one."""
        surplus = self.filterbank.band_length(0)
        return max(1, BANDS * (self.of_band.length(frames) - surplus))

    def forward(self, samples: Tensor) -> Tensor:
        """Return complex frames ``[..., F, T]`` of real samples ``[..., N]``, N >= 1."""
        if samples.shape[-1] < 1:
            raise ValueError("expected at least one sample")
        frames: Tensor = self.of_band(self.filterbank.analysis(samples))
        return frames.flatten(-3, -2)

    def inverse(self, frames: Tensor, length: int) -> Tensor:
        """Return samples ``[..., length]`` of complex frames ``[..., F, T]``."""
        bands = frames.unflatten(-2, (BANDS, -1))
        held = self.of_band.inverse(bands, self.filterbank.band_length(length))
        return self.filterbank.synthesis(held, length)


def _product(filters: Tensor, signals: Tensor) -> Tensor:
    """Return the matrix product, in the precision of the signals.

    This is not a convolution because GPUs may round a convolution's operands to ten bits (TF32).
    """
    with torch.autocast(signals.device.type, enabled=False):
        return filters.to(signals.dtype) @ signals


def prototype(angles: Tensor) -> Tensor:
    """Return the symmetric low-pass filter ``[tap]`` of the angles ``[BANDS / 2, TAPS / 8]``.

    Taps k, k + 8, k + 16... form a filter, which together with that of k + 4 preserves energy. The
    remaining pairs follow from the symmetry.
    """
    phases: list[Tensor] = [angles] * (2 * BANDS)
    for k, turns in enumerate(angles):
        first, second = turns[:1].cos(), turns[:1].sin()
        for turn in turns[1:]:
            first, second = F.pad(first, (0, 1)), F.pad(second, (1, 0))
            first, second = (
                turn.cos() * first - turn.sin() * second,
                turn.sin() * first + turn.cos() * second,
            )
        phases[k], phases[k + BANDS] = first, second
        phases[2 * BANDS - 1 - k], phases[BANDS - 1 - k] = first.flip(0), second.flip(0)
    return torch.stack(phases, 1).flatten()


def _modulate(lowpass: Tensor) -> Tensor:
    """Return filters ``[band, tap]``, orthonormal to each other and to their own delays."""
    centre = torch.arange(BANDS, dtype=lowpass.dtype).unsqueeze(1) + 0.5
    position = torch.arange(_TAPS, dtype=lowpass.dtype) - (_TAPS - 1) / 2
    # Phase shifts of plus and minus an eighth of a period make neighbours cancel their aliases.
    turn = torch.tensor([math.pi / 4, -math.pi / 4] * (BANDS // 2)).to(lowpass).unsqueeze(1)
    return lowpass * (math.pi / BANDS * centre * position + turn).cos() / math.sqrt(2)
