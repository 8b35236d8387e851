"""A run in TensorBoard: curves, and what the model makes of an excerpt, to look at and to hear.

Needs the package ``tensorboard``, which comes with ``unmix[train]`` and is imported when used.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import UnmixError
from ..frontends import STFT
from ..models import Model
from ..separation.separator import RecordingSeparator
from .validation import TrackValidator, ValidationExample

# Steps between two points of a curve.
_EVERY = 10
# Shown: from the loudest value down to this many dB below.
_RANGE = 80.0
_N_FFT = 2048


class TensorBoardLog:
    """A listener that draws curves, and a validator that keeps an excerpt to show.

    Args:
        folder: of the events.
        validator: what scores the model; there are no pictures without its tracks.

    Raises:
        UnmixError: where TensorBoard is not installed.
    """

    def __init__(self, folder: Path, validator: TrackValidator | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UnmixError(
                f"TensorBoard's package is missing ({error}): pip install 'unmix[train]'"
            ) from None
        self._make: Any = SummaryWriter
        self._folder = folder
        self._validator = validator
        self._writer: Any = None
        self._shown: tuple[Model, ValidationExample, dict[str, NDArray[np.float32]]] | None = None

    def __call__(self, model: Model) -> dict[str, float]:
        """Return the scores that the validator gives, and separate an excerpt to show."""
        assert self._validator is not None
        scores = self._validator(model)
        example = self._validator.example(model)
        separator = RecordingSeparator(
            model, device=str(next(model.parameters()).device), quality="fast"
        )
        estimates = separator.separate(example.mixture, model.sample_rate)
        self._shown = (model, example, estimates)
        return scores

    def step(self, step: int, loss: float, learning_rate: float, items_per_second: float) -> None:
        """Add points to the curves, every tenth step."""
        if step % _EVERY == 0 and math.isfinite(loss):
            writer = self._from(step)
            writer.add_scalar("loss", loss, step)
            writer.add_scalar("learning_rate", learning_rate, step)
            writer.add_scalar("items_per_second", items_per_second, step)

    def validated(self, step: int, scores: dict[str, float]) -> None:
        """Add scores; show and play the excerpt."""
        writer = self._from(step)
        for stem, value in scores.items():
            writer.add_scalar(f"SDR/{stem}", value, step)
        if self._shown is None:
            return
        model, example, estimates = self._shown
        rate = model.sample_rate
        sounds = {"mixture": example.mixture} | {f"{s}/estimate": v for s, v in estimates.items()}
        sounds |= {f"{stem}/reference": value for stem, value in example.references.items()}
        for name, samples in sounds.items():
            writer.add_audio(name, torch.from_numpy(samples.mean(0, keepdims=True)), step, rate)
        for stem, reference in example.references.items():
            figure = spectrogram_figure(example.mixture, estimates[stem], reference)
            writer.add_figure(f"spectrograms/{stem}", figure, step)

    def saved(self, path: Path) -> None:
        """Write out what is buffered: a run that goes on from here has it."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Write everything out."""
        if self._writer is not None:
            self._writer.close()

    def _from(self, step: int) -> Any:
        """Return the writer, which hides what an earlier run told of this step and later ones."""
        if self._writer is None:
            try:
                self._writer = self._make(str(self._folder), purge_step=step)
            except OSError as error:
                raise UnmixError(f"{self._folder}: cannot write curves ({error})") from None
        return self._writer


def spectrogram_figure(
    mixture: NDArray[np.float32], estimate: NDArray[np.float32], reference: NDArray[np.float32]
) -> Figure:
    """Return a picture of the mixture, the mask, the estimate and the reference, ``[C, N]`` each.

    The mask is what the estimate's magnitudes are of the mixture's, from black to white: every
    model has one so, whether it works with masks or not.
    """
    stft = STFT(_N_FFT, _N_FFT // 4)
    whole, found, wanted = (
        stft(torch.from_numpy(np.ascontiguousarray(samples))).abs().mean(0).numpy()
        for samples in (mixture, estimate, reference)
    )
    top = 20 * math.log10(max(float(whole.max()), 1e-6))
    figure = Figure(figsize=(8, 10), layout="constrained")
    FigureCanvasAgg(figure)
    pictures = {"mixture": whole, "mask": None, "estimate": found, "reference": wanted}
    for axes, (title, magnitude) in zip(figure.subplots(4), pictures.items(), strict=True):
        if magnitude is None:
            picture, low, high = found / np.maximum(whole, 1e-6), 0.0, 1.0
        else:
            picture, low, high = 20 * np.log10(np.maximum(magnitude, 1e-6)), top - _RANGE, top
        axes.imshow(picture, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high)
        axes.set_title(title)
        axes.set_axis_off()
    return figure
