"""A recipe: everything that decides a training run, read from one TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ..config import Settings, validate
from ..data import CorpusConfig, MixingConfig
from ..errors import ConfigError
from ..recipes.reading import read_recipe_tables
from .augment.config import AugmentConfig
from .precision import PrecisionChoice


class LossConfig(Settings):
    """Weights of the terms; each is a mean over stems, channels, and bins or samples."""

    magnitude: float = Field(default=1.0, ge=0)
    """L1 between masked magnitudes and the reference's: the loss of Jansson et al. (ISMIR 2017)."""
    complex: float = Field(default=0.0, ge=0)
    """L1 between masked complex frames and the reference's: an error of phase counts too."""
    waveform: float = Field(default=0.0, ge=0)
    """L1 between estimated and reference samples."""
    waveform_squared: float = Field(default=0.0, ge=0)
    """Squared error between them."""
    multi_resolution: float = Field(default=0.0, ge=0)
    """Between magnitudes under several windows: see ``losses.multi_resolution``."""
    resolutions: tuple[int, ...] = Field(default=(512, 1024, 2048), min_length=1)
    """Those windows, in samples; each hops by a quarter."""
    relative: bool = True
    """Whether each item's distances are divided by the level of its mixture, so that a soft one
    counts as much as a loud one; the papers' plain means where false."""
    accompaniment: bool = True
    """Whether what remains of the mixture, where the stems are not all that is in it, is compared
    with the rest of the references too: with the accompaniment, for a model of vocals."""
    stem_weights: dict[str, float] = Field(default_factory=dict)
    """Weights of stems by name, 1 where not given. What remains goes by what it is: the
    accompaniment of a model of vocals, the vocals of one of instruments, else ``rest``."""

    @model_validator(mode="after")
    def _has_terms(self) -> Self:
        terms = (self.magnitude, self.complex, self.waveform, self.waveform_squared)
        if not any((*terms, self.multi_resolution)):
            raise ValueError("needs a term whose weight is above 0")
        if any(weight < 0 for weight in self.stem_weights.values()):
            raise ValueError("a weight in stem_weights is below 0")
        return self


class ScheduleConfig(Settings):
    """How the learning rate goes on after its rise over ``warmup`` steps."""

    kind: Literal["linear", "constant", "cosine", "steps", "plateau"] = "linear"
    """``linear``: stays, and falls to zero from ``decay_from``. ``cosine``: falls over a cycle, and
    starts anew. ``steps``: falls every so many steps. ``plateau``: falls where validation does not
    improve."""
    every: int = Field(default=0, ge=0)
    """Steps of a cosine's cycle (all of them where 0), or between two falls of ``steps``. Counted
    from the first step, warm-up included."""
    factor: float = Field(default=0.5, gt=0, lt=1)
    """Of a fall, for ``steps`` and ``plateau``."""
    floor: float = Field(default=0.0, ge=0, lt=1)
    """Share of the learning rate where a cosine ends."""
    patience: int = Field(default=5, gt=0)
    """Validations without a better score before a ``plateau`` falls."""

    @model_validator(mode="after")
    def _has_its_period(self) -> Self:
        if self.kind == "steps" and not self.every:
            raise ValueError("kind = 'steps' needs `every`")
        return self


class OptimisationConfig(Settings):
    """How the weights move, from gradients to what gets released. Lengths are in steps."""

    optimizer: Literal["adamw", "adam", "rmsprop", "muon"] = "adamw"
    """``muon`` makes each matrix's step orthogonal, and reaches a loss in fewer of them."""
    amsgrad: bool = False
    """Whether Adam divides by the largest second moment so far: Reddi et al. (ICLR 2018)."""
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: int = Field(default=200, ge=0)
    decay_from: float = Field(default=0.5, ge=0, lt=1)
    """Share of the steps after which the linear schedule falls."""
    schedule: ScheduleConfig = ScheduleConfig()
    weight_decay: float = Field(default=1e-3, ge=0)
    """Apart from the gradient in ``adamw`` and ``muon``, part of it in the others, whose published
    recipes have 0."""
    clip_norm: float = Field(default=1.0, ge=0)
    """Largest norm of the gradient; 0 for any."""
    accumulate: int = Field(default=1, gt=0)
    """Batches whose gradients make one step."""
    ema: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the moving average of the weights, which gets released, but for ``start_share``; 0
    for none."""
    start_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the weights that the run started from, ``--init``'s, in what gets released; the rest
    is the average. Wortsman et al. (CVPR 2022)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.amsgrad and self.optimizer not in ("adam", "adamw"):
            raise ValueError("amsgrad is an option of adam and adamw")
        return self


class SemiSupervisedConfig(Settings):
    """Training on unpaired recordings too: Stoller et al. (ICASSP 2018), whose values these are.

    It has a loss of its own, so there is no table ``loss`` beside it. With ``alpha`` and ``beta``
    of 0 it is that paper's supervised baseline.
    """

    alpha: float = Field(default=1e-3, ge=0)
    """Weight of what critics say of estimates; critics there are where it is above 0."""
    beta: float = Field(default=1e-3, ge=0)
    """Weight of the difference between an unlabelled mixture and the sum of its estimates."""
    penalty: float = Field(default=10.0, ge=0)
    """Weight, in the critics' loss, of gradients above 1."""
    critic_steps: int = Field(default=5, gt=0)
    """Steps of the critics before each of the separator."""
    critic_learning_rate: float = Field(default=5e-5, gt=0)
    """Of their Adam; it stays."""
    critic_width: int = Field(default=32, ge=1)
    """Feature maps of their first layer."""
    corpora: tuple[CorpusConfig, ...] = ()
    """Of unpaired recordings; their weights ``vocals``, ``accompaniment`` and ``mixture`` say what
    they are drawn as."""


class TrainConfig(OptimisationConfig):
    """How to train. Lengths are in steps unless said."""

    steps: int = Field(gt=0)
    batch_size: int = Field(default=4, gt=0)
    """Items of a batch, in each process where there are several."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    precision: PrecisionChoice = "auto"
    """``auto``: bfloat16 where the device computes in it, else 32 bits."""
    compile: bool = False
    """Whether ``torch.compile`` prepares the network: minutes at the start, for faster steps."""
    grow: bool = False
    """Whether the weights to start from may be a smaller network's: see ``growing.grow``."""
    excerpt: int | None = Field(default=None, gt=0)
    """Samples of a training excerpt; the model's chunk where not given."""
    skips: int = Field(default=0, ge=0)
    """Steps in a row that may be left out because their loss or gradient is no number; one more
    ends the run, with a report."""
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    validate_every: int = Field(default=500, gt=0)
    validation: tuple[str, ...] = ()
    """Folders of tracks, relative to the data folder, separated whole to choose the best."""
    patience: int = Field(default=0, ge=0)
    """Validations without a better score before the run ends; 0 for a run of all its steps."""
    loss: LossConfig = LossConfig()
    mixing: MixingConfig = MixingConfig()
    augment: AugmentConfig = AugmentConfig()
    corpora: tuple[CorpusConfig, ...] = Field(min_length=1)
    semi_supervised: SemiSupervisedConfig | None = None
    """For models of log magnitudes: learn from recordings without their stems too."""

    @property
    def needs_scores(self) -> bool:
        """Whether validation decides how the run goes on."""
        return bool(self.patience) or self.schedule.kind == "plateau"


class Recipe(Settings):
    """One file of ``recipes/``: the architecture, its settings, and how to train it."""

    architecture: str
    model: dict[str, Any] = Field(default_factory=dict)
    train: TrainConfig | None = None
    smoke: dict[str, Any] = Field(default_factory=dict)
    """Settings of the model that make it the smallest which still runs every line."""


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a TOML file, with what it extends.

    Raises:
        ConfigError: naming the file and the key at fault.
    """
    return validate(Recipe, read_recipe_tables(path), str(path))


def training_of(recipe: Recipe, where: str, **changes: Any) -> TrainConfig:
    """Return how to train a recipe, which must say so; ``changes`` take the place of its keys."""
    if recipe.train is None:
        raise ConfigError(f"{where}: has no table [train]; see unmix/recipes for examples")
    if not changes:
        return recipe.train
    return validate(TrainConfig, recipe.train.model_dump() | changes, where)
