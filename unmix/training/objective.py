"""The supervised training objective: the loss of a model's estimates of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..data.rows import Rows
from ..errors import ConfigError
from ..frontends import STFT
from ..models import Model, SpectrogramModel
from ..stems import ACCOMPANIMENT, INSTRUMENTS, RESIDUAL, VOCALS
from .config import LossConfig
from .losses import Sound, band_weight, separation_loss

# Window length of the frames that the loss compares for models that work on samples.
_LOSS_N_FFT = 2048


class Estimator(nn.Module):
    """The part of a model that is trained: frames to frames if it has them.

    The STFT and the loss stay outside, at full precision.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, F, T]`` of frames ``[B, C, F, T]``, or likewise samples."""
        if isinstance(self.model, SpectrogramModel):
            return self.model.estimate_frames(mixture)
        estimates: Tensor = self.model(mixture)
        return estimates


class Objective:
    """Compares the estimates of a model with the references.

    Args:
        model: the model in training.
        config: weights of the loss terms.
        device: device of the tensors.

    Raises:
        ConfigError: ``stem_weights`` names a stem that the references do not have.
    """

    def __init__(self, model: Model, config: LossConfig, device: torch.device) -> None:
        self._model = model
        self._config = config
        # The loss may compare frames of a model that works on samples.
        stft = STFT(_LOSS_N_FFT, _LOSS_N_FFT // 4)
        self._stft = model.stft if isinstance(model, SpectrogramModel) else stft.to(device)
        self._weights = _stem_weights(config, model.stems, device)

    def __call__(self, network: Any, references: Tensor, band: Tensor | None) -> Tensor:
        """Return the loss, a scalar.

        Args:
            network: the ``Estimator`` of the model, possibly wrapped.
            references: ``[B, S, C, N]`` including the model's context: its stems, then the residual
                of the mixture if there is one.
            band: bandwidth of each item's references in Hz, ``[B]``; None: unlimited.
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


def residual_row(stems: tuple[str, ...]) -> str:
    """Return the name of the row that follows ``stems`` in the references."""
    if stems == (VOCALS,):
        return ACCOMPANIMENT
    if set(stems) in ({ACCOMPANIMENT}, set(INSTRUMENTS)):
        return VOCALS
    return RESIDUAL


def _stem_weights(
    config: LossConfig, stems: tuple[str, ...], device: torch.device
) -> Tensor | None:
    """Return the weights of the stems, then that of the residual if it has a loss; None: all 1."""
    names = stems
    if config.accompaniment and len(Rows.of(stems).names) > len(stems):
        names = (*stems, residual_row(stems))
    unknown = config.stem_weights.keys() - set(names)
    if unknown:
        raise ConfigError(
            f"loss.stem_weights names {', '.join(sorted(unknown))}; choose from {', '.join(names)}"
        )
    if not config.stem_weights:
        return None
    return torch.tensor([config.stem_weights.get(name, 1.0) for name in names], device=device)
