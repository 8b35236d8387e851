"""What training makes small: the loss of a model's estimates of a batch of references."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..data.rows import RESIDUAL, Rows
from ..errors import ConfigError
from ..frontends import STFT
from ..models import Model, SpectrogramModel
from ..stems import ACCOMPANIMENT, INSTRUMENTS, VOCALS
from .config import LossConfig
from .losses import Sound, band_weight, separation_loss

# Samples of the windows under which the loss sees a model that has no frames of its own.
_JUDGED_N_FFT = 2048


class Estimator(nn.Module):
    """The part of a model that training runs: frames to frames where it has them.

    The transforms stay outside, at full precision, and so does the loss.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, F, T]`` of frames ``[B, C, F, T]``, or samples likewise."""
        if isinstance(self.model, SpectrogramModel):
            return self.model.estimate_frames(mixture)
        estimates: Tensor = self.model(mixture)
        return estimates


class Objective:
    """Compares what a model makes of a mixture with the references that were mixed.

    Args:
        model: whose estimates are judged.
        config: weights of the terms.
        device: where.

    Raises:
        ConfigError: for a weight of a stem that the references have not.
    """

    def __init__(self, model: Model, config: LossConfig, device: torch.device) -> None:
        self._model = model
        self._config = config
        # A model of samples is judged on frames too, where the loss asks for them.
        of_samples = STFT(_JUDGED_N_FFT, _JUDGED_N_FFT // 4)
        self._stft = model.stft if isinstance(model, SpectrogramModel) else of_samples.to(device)
        self._weights = _stem_weights(config, model.stems, device)

    def __call__(self, network: Any, references: Tensor, band: Tensor | None) -> Tensor:
        """Return the loss, a scalar.

        Args:
            network: an ``Estimator`` of the model, as it may be wrapped.
            references: ``[B, S, C, N]`` with the context that the model consumes; its stems first,
                then the rest of the mixture where they are not all.
            band: Hz up to which each item's references hold ``[B]``; None where they hold all.
        """
        model, stft = self._model, self._stft
        inner = slice(model.context, references.shape[-1] - model.context)
        mixture, wanted = references.sum(1), references[..., inner]
        if not self._config.accompaniment:
            wanted = wanted[:, : len(model.stems)]
        whole = Sound(stft, mixture[..., inner])
        if isinstance(model, SpectrogramModel):
            estimates = Sound(stft, frames=network(whole.frames), length=wanted.shape[-1])
        else:
            estimates = Sound(stft, network(mixture))
        weight = None if band is None else band_weight(band, stft, model.sample_rate)
        weights = None if self._weights is None else self._weights[: wanted.shape[1]]
        return separation_loss(estimates, Sound(stft, wanted), whole, weight, self._config, weights)


def residual_name(stems: tuple[str, ...]) -> str:
    """Return what to call the rest of a mixture that some stems are taken out of."""
    if stems == (VOCALS,):
        return ACCOMPANIMENT
    if set(stems) in ({ACCOMPANIMENT}, set(INSTRUMENTS)):
        return VOCALS
    return RESIDUAL


def _stem_weights(
    config: LossConfig, stems: tuple[str, ...], device: torch.device
) -> Tensor | None:
    """Return the weights of the stems, then that of the rest if it counts; None if all are 1."""
    names = stems
    if config.accompaniment and len(Rows.of(stems).names) > len(stems):
        names = (*stems, residual_name(stems))
    unknown = config.stem_weights.keys() - set(names)
    if unknown:
        raise ConfigError(
            f"loss.stem_weights names {', '.join(sorted(unknown))}; choose from {', '.join(names)}"
        )
    if not config.stem_weights:
        return None
    return torch.tensor([config.stem_weights.get(name, 1.0) for name in names], device=device)
