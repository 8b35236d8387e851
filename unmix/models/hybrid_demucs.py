"""Hybrid Demucs of Défossez et al., "Hybrid Spectrogram and Waveform Source Separation".

MDX workshop at ISMIR 2021, arXiv 2111.03600. Two U-Nets, one over samples and one over frames
(complex as channels), share their innermost layers, and their estimates are summed. The network is
torchaudio's, imported when it is built. It normalises every chunk by mean and standard deviation.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError, missing_extra
from ._base import Model, ModelConfig
from ._registry import register

#: Levels that reduce a spectrogram to one bin, by n_fft.
_DEPTHS = {1024: 5, 2048: 6, 4096: 6}


class HybridDemucsConfig(ModelConfig):
    """Settings of Hybrid Demucs; the defaults are those of the published weights."""

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    n_fft: Literal[1024, 2048, 4096] = 4096
    """Window in samples: 4096 for 44.1 kHz, 2048 and 1024 for 16 and 8 kHz."""
    width: int = Field(default=48, ge=4, multiple_of=4)
    """Feature maps after the first layer; doubled with every level."""
    output_samples: int = Field(default=441000, ge=1)
    """Samples of a chunk in training: ten seconds."""


@register("hybrid-demucs", HybridDemucsConfig)
class HybridDemucs(Model):
    """Waveform and spectrogram U-Nets with shared inner layers, LSTMs and local attention."""

    config: HybridDemucsConfig
    levelled = True

    def __init__(self, config: HybridDemucsConfig) -> None:
        super().__init__(config)
        self.network = _network(config)

    @property
    def chunk(self) -> int:
        """Samples of the chunks in training."""
        return self.config.output_samples

    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, N]`` of a mixture ``[B, C, N]``."""
        length = mixture.shape[-1]
        # The network cannot normalise a few samples: pad them.
        padded = F.pad(mixture, (0, max(0, self.config.n_fft // 4 - length)))
        estimates: Tensor = self.network(padded)
        return estimates[..., :length]


def _network(config: HybridDemucsConfig) -> nn.Module:
    """Return torchaudio's network, untrained.

    Raises:
        ModelError: torchaudio is missing, or does not load beside the installed torch.
    """
    try:
        from torchaudio.models import HDemucs
    except ModuleNotFoundError as error:
        raise ModelError(f"Hybrid Demucs: {missing_extra(error.name) or error}") from None
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(
            "Hybrid Demucs needs a torchaudio that fits the installed torch, but this one does not "
            f"load ({error}): install both from the same index, for the same CUDA"
        ) from None
    # In an outline too, where torchaudio scales its weights by a table: both on one device.
    with torch.empty(0).device:
        network: nn.Module = HDemucs(
            list(config.stems),
            audio_channels=config.audio_channels,
            channels=config.width,
            nfft=config.n_fft,
            depth=_DEPTHS[config.n_fft],
        )
    return network
