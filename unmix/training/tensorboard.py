"""TensorBoard logs of a run: curves, and spectrograms and audio of a separated excerpt.

Needs the package ``tensorboard`` from ``unmix[train]``, which is imported on use.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .._types import Samples
from ..errors import UnmixError, missing_extra
from ..frontends import STFT
from ..models import Model
from ..separation.separator import RecordingSeparator
from .validation import TrackValidator, ValidationExample

# Steps between two points of a curve.
_EVERY = 10
# Range of the spectrograms in dB, down from the loudest value.
_RANGE = 80.0
_N_FFT = 2048


class TensorBoardLog:
    """A listener that logs curves, and a validator that also separates an excerpt to show.

    Args:
        folder: folder for the event files.
        validator: scores the model; without it only curves are logged.

    Raises:
        UnmixError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, validator: TrackValidator | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UnmixError(missing_extra("tensorboard")) from None
        self._make: Any = SummaryWriter
        self._folder = folder
        self._validator = validator
        self._writer: Any = None
        self._shown: tuple[Model, ValidationExample, dict[str, Samples]] | None = None

    def __call__(self, model: Model) -> dict[str, float]:
        """Return the scores of the validator, and separate an excerpt to show."""
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
        """Log the loss, learning rate and speed every tenth step."""
        if step % _EVERY == 0 and math.isfinite(loss):
            writer = self._from(step)
            writer.add_scalar("loss", loss, step)
            writer.add_scalar("learning_rate", learning_rate, step)
            writer.add_scalar("items_per_second", items_per_second, step)

    def validated(self, step: int, scores: dict[str, float]) -> None:
        """Log the scores, and the spectrograms and audio of the excerpt."""
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
        """Flush the log, so that a run resumed from this checkpoint has it."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Flush and close the log."""
        if self._writer is not None:
            self._writer.close()

    def _from(self, step: int) -> Any:
        """Return the writer, which hides an earlier run's entries from this step on."""
        if self._writer is None:
            try:
                self._writer = self._make(str(self._folder), purge_step=step)
            except OSError as error:
                raise UnmixError(
                    f"{self._folder}: cannot write the TensorBoard log ({error})"
                ) from None
        return self._writer


def spectrogram_figure(mixture: Samples, estimate: Samples, reference: Samples) -> Figure:
    """Return spectrograms of mixture, mask, estimate and reference, samples ``[C, N]`` each.

    The mask is the ratio of the estimate's and the mixture's magnitudes, from 0 (black) to 1
    (white), also for models that do not use masks.
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
