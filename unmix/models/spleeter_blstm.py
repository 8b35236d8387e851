"""The BLSTM of Uhlich et al., "Improving music source separation based on deep neural networks".

Full title "... through data augmentation and network blending" (ICASSP 2017). This is its network
UHL1 as Spleeter (Hennequin et al., JOSS 2020) offers it beside its U-Nets: for every stem,
bidirectional LSTM layers over frames, each with all magnitudes of all channels, and a linear
layer to the stem's magnitudes. The paper combines the networks with the multichannel Wiener filter
(``wiener = 1``), Spleeter with ratios of their powers.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ._ratio import RatioConfig, RatioModel
from ._registry import register


class SpleeterBLSTMConfig(RatioConfig):
    """Settings of the BLSTM; the defaults are Spleeter's."""

    units: int = Field(default=250, ge=1)
    """LSTM cells per layer and direction."""
    layers: int = Field(default=3, ge=1)
    """Bidirectional layers."""


@register("spleeter-blstm", SpleeterBLSTMConfig)
class SpleeterBLSTM(RatioModel):
    """Recurrent layers for every stem; masks are ratios of the powers that they estimate."""

    config: SpleeterBLSTMConfig

    def __init__(self, config: SpleeterBLSTMConfig) -> None:
        super().__init__(config)
        self.networks = nn.ModuleList(_BLSTM(config) for _ in config.stems)

    def estimate_piece(self, magnitude: Tensor) -> Tensor:
        """Return the stems' magnitudes ``[B, S, C, F', T]`` of the mixture's ``[B, C, F', T]``."""
        return torch.stack([network(magnitude) for network in self.networks], 1)


class _BLSTM(nn.Module):
    """Magnitudes ``[B, C, F', T]`` of the mixture to those of one stem."""

    def __init__(self, config: SpleeterBLSTMConfig) -> None:
        super().__init__()
        features = config.bins * config.audio_channels
        self.lstm = nn.LSTM(
            features, config.units, config.layers, batch_first=True, bidirectional=True
        )
        self.last = nn.Linear(2 * config.units, features)
        self._initialise()

    def forward(self, magnitude: Tensor) -> Tensor:
        channels = magnitude.shape[1]
        features, _ = self.lstm(magnitude.movedim((3, 2), (1, 2)).flatten(2))  # [B, T, 2 * units]
        estimate: Tensor = self.last(features).relu()  # [B, T, F' * C]
        estimate = estimate.reshape(*estimate.shape[:2], -1, channels)  # [B, T, F', C]
        return estimate.transpose(1, 3)

    def _initialise(self) -> None:
        """Initialise as Keras does, with forget gates open, except for the last bias."""
        for name, weight in self.lstm.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.kaiming_uniform_(weight, nonlinearity="relu")
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(weight)
            else:
                nn.init.zeros_(weight)
                if name.startswith("bias_hh"):
                    _, forget, _, _ = weight.chunk(4)  # input, forget, cell, output
                    nn.init.ones_(forget)
        nn.init.kaiming_uniform_(self.last.weight, nonlinearity="relu")
        # A rectifier that starts closed never opens, as half of them would with Keras' zero. One is
        # the median magnitude of a bin in the shipped song.
        nn.init.ones_(self.last.bias)
