"""Losses: distances of estimates from references, within the band of the references."""

from __future__ import annotations

from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from ..frontends import STFT
from ..frontends.magnitude import magnitude
from .config import LossConfig

# Added to the level of the mixture, so that the loss of silence is finite.
_SILENCE = 1e-4
# Share of the mixture's level that is added to magnitudes before their logarithm: bins 60 dB below
# count little, and the distance from a silent reference is finite.
_LOG_FLOOR = 1e-3


class Sound:
    """A sound as samples and as frames; either is computed from the other on demand.

    Args:
        stft: the transform.
        samples: real ``[..., N]``.
        frames: complex ``[..., F, T]``.
        length: N, needed if there are no samples.
    """

    def __init__(
        self,
        stft: STFT,
        samples: Tensor | None = None,
        frames: Tensor | None = None,
        length: int | None = None,
    ) -> None:
        if samples is None and (frames is None or length is None):
            raise ValueError("needs samples, or frames and their length in samples")
        self.stft = stft
        self._given = (samples, frames)
        self._length = length

    @property
    def stems(self) -> int:
        """Number of stems, the length of axis 1."""
        samples, frames = self._given
        given = frames if samples is None else samples
        assert given is not None
        return given.shape[1]

    @cached_property
    def samples(self) -> Tensor:
        """Real ``[..., N]``."""
        samples, frames = self._given
        if samples is None:
            assert frames is not None
            assert self._length is not None
            samples = self.stft.inverse(frames, self._length)
        return samples

    @cached_property
    def frames(self) -> Tensor:
        """Complex ``[..., F, T]``."""
        samples, frames = self._given
        if frames is None:
            assert samples is not None
            frames = self.stft(samples)
        return frames

    def with_residual_of(self, mixture: Sound) -> Self:
        """Return these stems, on axis 1, followed by the residual of a mixture ``[B, C, ...]``."""
        samples, frames = self._given
        if samples is not None:
            samples = _with_residual(samples, mixture.samples)
        if frames is not None:
            frames = _with_residual(frames, mixture.frames)
        return type(self)(self.stft, samples, frames, self._length)

    def within(self, band: Tensor | None) -> Sound:
        """Return the sound with its bins weighted by ``band``, ``[B, F]``."""
        if band is None:
            return self
        length = self._length or self.samples.shape[-1]
        return Sound(self.stft, frames=self.frames * _of_frames(band), length=length)


class _Error:
    """Estimates minus references within the band, as frames and as samples, on demand.

    Args:
        estimates: estimates of the stems.
        references: references of the stems, optionally followed by the residual.
        band: weights of the bins ``[B, F]``; None: all 1.
    """

    def __init__(self, estimates: Sound, references: Sound, band: Tensor | None) -> None:
        self._estimates, self._references, self._band = estimates, references, band
        self._known = slice(estimates.stems)

    @cached_property
    def frames(self) -> Tensor:
        """Complex ``[B, S, C, F, T]``."""
        error = self._estimates.frames - self._references.frames[:, self._known]
        return _weighted(error, self._band)

    @cached_property
    def samples(self) -> Tensor:
        """Real ``[B, S, C, N]``."""
        wanted = self._references.samples
        if self._band is None:
            return self._estimates.samples - wanted[:, self._known]
        return self._estimates.stft.inverse(self.frames, wanted.shape[-1])


def separation_loss(
    estimates: Sound,
    references: Sound,
    mixture: Sound,
    band: Tensor | None,
    config: LossConfig,
    weights: Tensor | None = None,
) -> Tensor:
    """Return the weighted sum of the loss terms, a scalar.

    Args:
        estimates: estimates of the stems; the first axes are B, S, C.
        references: likewise, optionally followed by the residual, which is compared with the
            mixture minus all estimates.
        mixture: the first axes are B, C; the sum of the references if these include the residual.
        band: weights of the bins ``[B, F]``: 1 within the band of the references, 0 above; None:
            all 1.
        config: weights of the terms.
        weights: weights of the references' stems ``[S]``; default: all 1.
    """
    has_residual = references.stems == estimates.stems + 1
    error = _Error(estimates, references, band)
    loss = references.samples.new_zeros(())
    if config.magnitude or config.complex:
        level = _level(mixture.frames, config)
    if config.magnitude:
        distances = _magnitude_distances(
            estimates, references, mixture if has_residual else None, band
        )
        loss = loss + config.magnitude * _mean(distances, level, weights)
    if config.complex:
        distances = _distances(error.frames, 1, has_residual)
        loss = loss + config.complex * _mean(distances, level, weights)
    if config.waveform:
        distances = _distances(error.samples, 1, has_residual)
        level = _level(mixture.samples, config)
        loss = loss + config.waveform * _mean(distances, level, weights)
    if config.waveform_squared:
        distances = _distances(error.samples, 2, has_residual)
        level = _power(mixture.samples, config)
        loss = loss + config.waveform_squared * _mean(distances, level, weights)
    if config.multi_resolution:
        whole = estimates.with_residual_of(mixture) if has_residual else estimates
        distances = multi_resolution(
            whole.within(band).samples,
            references.within(band).samples,
            mixture.samples,
            config.resolutions,
        )
        loss = loss + config.multi_resolution * _mean(distances.squeeze(-1), None, weights)
    return loss


def multi_resolution(
    estimates: Tensor, references: Tensor, mixture: Tensor, resolutions: tuple[int, ...]
) -> Tensor:
    """Return the multi-resolution STFT distance ``[B, S, 1]``.

    The sum of spectral convergence and log-magnitude distance of Yamamoto et al., "Parallel
    WaveGAN" (ICASSP 2020), averaged over resolutions. Unlike there, they are relative to the
    mixture, since the reference may be silent; ``LossConfig.relative`` does not affect them.

    Args:
        estimates: samples ``[B, S, C, N]``.
        references: likewise.
        mixture: samples ``[B, C, N]``.
        resolutions: window lengths in samples.
    """
    total = estimates.new_zeros(estimates.shape[:2])
    for n_fft in resolutions:
        stft = STFT(n_fft, n_fft // 4).to(estimates.device)
        found, wanted = stft(estimates).abs(), stft(references).abs()
        whole = stft(mixture).abs().unsqueeze(1)
        axes = (2, 3, 4)
        convergence = torch.linalg.vector_norm(found - wanted, dim=axes) / (
            torch.linalg.vector_norm(whole, dim=axes) + _SILENCE
        )
        floor = _LOG_FLOOR * whole.mean(axes, keepdim=True) + _SILENCE
        ratio = (found + floor).log() - (wanted + floor).log()
        total = total + convergence + ratio.abs().mean(axes)
    return (total / len(resolutions)).unsqueeze(-1)


def band_weight(band: Tensor, stft: STFT, sample_rate: int) -> Tensor:
    """Return ``[B, F]``: 1 for bins at or below ``band`` Hz ``[B]``, 0 above."""
    frequencies = stft.frequencies(sample_rate).to(band.device)
    return (frequencies <= band.unsqueeze(1)).float()


def _with_residual(stems: Tensor, mixture: Tensor) -> Tensor:
    return torch.cat([stems, _residual(stems, mixture)], 1)


def _residual(stems: Tensor, mixture: Tensor) -> Tensor:
    return mixture.unsqueeze(1) - stems.sum(1, keepdim=True)


def _magnitude_distances(
    estimates: Sound, references: Sound, mixture: Sound | None, band: Tensor | None
) -> Tensor:
    """Return mean distances of magnitudes ``[B, S]``, with the residual's if there is a mixture."""
    found = [estimates.frames]
    if mixture is not None:
        found.append(_residual(estimates.frames, mixture.frames))
    wanted = references.frames.split([part.shape[1] for part in found], 1)
    distances = [
        _means(_weighted((magnitude(a) - magnitude(b)).abs(), band))
        for a, b in zip(found, wanted, strict=True)
    ]
    return torch.cat(distances, 1)


def _distances(error: Tensor, power: int, has_residual: bool) -> Tensor:
    """Return means ``[B, S]`` of absolute (``power`` 1) or squared errors of stems.

    The residual's error is minus the sum of the stems' errors, because references and residual sum
    to the mixture; with one stem the two distances are equal.
    """
    errors = [error, error.sum(1, keepdim=True)] if has_residual and error.shape[1] > 1 else [error]
    distances = [_means(magnitude(each) if power == 1 else each.square()) for each in errors]
    if has_residual and len(errors) == 1:
        distances.append(distances[0])
    return torch.cat(distances, 1)


def _weighted(frames: Tensor, band: Tensor | None) -> Tensor:
    return frames if band is None else frames * _of_frames(band)


def _of_frames(band: Tensor) -> Tensor:
    return band[:, None, None, :, None]


def _level(mixture: Tensor, config: LossConfig) -> Tensor | None:
    """Return the mean magnitude of each item ``[B]``; None if distances are not relative."""
    if not config.relative:
        return None
    return magnitude(mixture).mean(tuple(range(1, mixture.ndim))) + _SILENCE


def _power(mixture: Tensor, config: LossConfig) -> Tensor | None:
    """Return the mean square of each item's samples ``[B]``; None as in ``_level``."""
    return mixture.square().mean((1, 2)) + _SILENCE**2 if config.relative else None


def _means(distance: Tensor) -> Tensor:
    """Return the mean of each stem's distances ``[B, S]``."""
    return distance.flatten(2).mean(2)


def _mean(distances: Tensor, level: Tensor | None, weights: Tensor | None) -> Tensor:
    """Return the weighted mean of distances ``[B, S]``, relative to the levels ``[B]``."""
    each = (distances if weights is None else distances * weights).mean(1)
    return (each if level is None else each / level).mean()
