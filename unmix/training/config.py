"""A recipe: everything that decides a training run, read from one TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ..config import Settings, read_toml, validate
from ..data import CorpusConfig, MixingConfig
from ..errors import ConfigError


class LossConfig(Settings):
    """Weights of the terms; each is an L1 distance, relative to the mixture's mean."""

    magnitude: float = Field(default=1.0, ge=0)
    """Between masked magnitudes and the reference's: the loss of Jansson et al. (ISMIR 2017)."""
    complex: float = Field(default=0.0, ge=0)
    """Between masked complex frames and the reference's: an error of phase counts too."""
    waveform: float = Field(default=0.0, ge=0)
    """Between estimated and reference samples."""
    accompaniment: bool = True
    """Whether what remains of the mixture is compared with the accompaniment too."""


class TrainConfig(Settings):
    """How to train. Lengths are in steps unless said."""

    steps: int = Field(gt=0)
    batch_size: int = Field(default=4, gt=0)
    seed: int = 0
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: int = Field(default=200, ge=0)
    decay_from: float = Field(default=0.5, ge=0, lt=1)
    """Share of the steps after which the learning rate falls linearly to zero."""
    weight_decay: float = Field(default=1e-3, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    ema: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the moving average of the weights, which is what gets released."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """``auto``: bfloat16 where the device computes in it, else 32 bits."""
    excerpt: int | None = Field(default=None, gt=0)
    """Samples of a training excerpt; the model's chunk where not given."""
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    validate_every: int = Field(default=500, gt=0)
    validation: tuple[str, ...] = ()
    """Folders of tracks, relative to the data folder, separated whole to choose the best."""
    loss: LossConfig = LossConfig()
    mixing: MixingConfig = MixingConfig()
    corpora: tuple[CorpusConfig, ...] = Field(min_length=1)


class Recipe(Settings):
    """One file of ``configs/``: the architecture, its settings, and how to train it."""

    architecture: str
    model: dict[str, Any] = Field(default_factory=dict)
    train: TrainConfig | None = None
    smoke: dict[str, Any] = Field(default_factory=dict)
    """Settings of the model that make it the smallest which still runs every line."""


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a TOML file; a ``ConfigError`` names the file and the key at fault."""
    return validate(Recipe, read_toml(path), str(path))


def training_of(recipe: Recipe, where: str) -> TrainConfig:
    """Return how to train a recipe, which must say so."""
    if recipe.train is None:
        raise ConfigError(f"{where}: has no table [train]; see unmix/configs for examples")
    return recipe.train
