"""A recipe: all settings of a training run, read from one TOML file."""

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
    """Weights of the loss terms; each term is a mean over stems, channels, and bins or samples."""

    magnitude: float = Field(default=1.0, ge=0)
    """L1 distance of estimated and reference magnitudes, as in Jansson et al. (ISMIR 2017)."""
    complex: float = Field(default=0.0, ge=0)
    """L1 distance of estimated and reference complex frames, which includes phase errors."""
    waveform: float = Field(default=0.0, ge=0)
    """L1 distance of estimated and reference samples."""
    waveform_squared: float = Field(default=0.0, ge=0)
    """Mean squared error of the estimated samples."""
    multi_resolution: float = Field(default=0.0, ge=0)
    """Distance of magnitudes at several STFT resolutions; see ``losses.multi_resolution``."""
    resolutions: tuple[int, ...] = Field(default=(512, 1024, 2048), min_length=1)
    """Window lengths for ``multi_resolution``, in samples; the hop is a quarter of the window."""
    relative: bool = True
    """Whether to divide each item's distances by the level of its mixture, so that quiet and loud
    items count alike. If false, plain means, as in the papers."""
    accompaniment: bool = True
    """Whether the residual (the mixture minus all estimates) also has a loss, for models whose
    stems are not the whole mixture. For a vocals model the residual is the accompaniment."""
    stem_weights: dict[str, float] = Field(default_factory=dict)
    """Weight of each stem by name; default 1. The residual is called ``accompaniment`` for a
    vocals model, ``vocals`` for an accompaniment or instruments model, otherwise ``residual``."""

    @model_validator(mode="after")
    def _has_terms(self) -> Self:
        terms = (self.magnitude, self.complex, self.waveform, self.waveform_squared)
        if not any((*terms, self.multi_resolution)):
            raise ValueError("at least one term must have a weight above 0")
        if any(weight < 0 for weight in self.stem_weights.values()):
            raise ValueError("stem_weights must not be below 0")
        return self


class ScheduleConfig(Settings):
    """The learning rate after its linear rise over ``warmup`` steps."""

    kind: Literal["linear", "constant", "cosine", "steps", "plateau"] = "linear"
    """``constant``: stays the same. ``linear``: falls linearly to 0 from ``decay_from`` to the last
    step. ``cosine``: falls along a cosine, then restarts. ``steps``: is multiplied by ``factor``
    every ``every`` steps. ``plateau``: likewise, whenever validation stops improving."""
    every: int = Field(default=0, ge=0)
    """Length of a ``cosine`` cycle (0: all steps) or interval of ``steps``, in steps from the first
    one, warm-up included."""
    factor: float = Field(default=0.5, gt=0, lt=1)
    """Factor of each reduction, for ``steps`` and ``plateau``."""
    floor: float = Field(default=0.0, ge=0, lt=1)
    """Learning rate at the end of a ``cosine`` cycle, as a share of ``learning_rate``."""
    patience: int = Field(default=5, gt=0)
    """For ``plateau``: validations without a better score before the rate is reduced."""

    @model_validator(mode="after")
    def _has_its_period(self) -> Self:
        if self.kind == "steps" and not self.every:
            raise ValueError("kind = 'steps' needs a value for `every`")
        return self


class OptimisationConfig(Settings):
    """Optimizer, learning rate and weight averaging. Durations are in steps."""

    optimizer: Literal["adamw", "adam", "rmsprop", "muon"] = "adamw"
    """``muon`` orthogonalizes the step of each weight matrix and needs fewer steps."""
    amsgrad: bool = False
    """For ``adam`` and ``adamw``: the AMSGrad variant of Reddi et al. (ICLR 2018)."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Largest learning rate, reached after ``warmup``."""
    warmup: int = Field(default=200, ge=0)
    """Steps over which the learning rate rises from 0."""
    decay_from: float = Field(default=0.5, ge=0, lt=1)
    """Share of the steps after which the ``linear`` schedule starts to fall."""
    schedule: ScheduleConfig = ScheduleConfig()
    weight_decay: float = Field(default=1e-3, ge=0)
    """Weight decay: decoupled in ``adamw`` and ``muon``, an L2 penalty in ``adam`` and
    ``rmsprop``."""
    clip_norm: float = Field(default=1.0, ge=0)
    """Largest norm of the gradient; 0: no limit."""
    accumulate: int = Field(default=1, gt=0)
    """Batches whose gradients are averaged into one step."""
    ema: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, which validation and the released
    model use; 0: no averaging."""
    start_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the initial weights (``--init``) in the released ones, interpolated with the
    average as in Wortsman et al. (CVPR 2022); 0: the average alone."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.amsgrad and self.optimizer not in ("adam", "adamw"):
            raise ValueError("amsgrad needs the optimizer adam or adamw")
        return self


class SemiSupervisedConfig(Settings):
    """Training with unpaired recordings, with the defaults of Stoller et al. (ICASSP 2018).

    It has its own loss and excludes the table ``loss``. With ``alpha`` and ``beta`` of 0 it is the
    paper's supervised baseline.
    """

    alpha: float = Field(default=1e-3, ge=0)
    """Weight of the critics' judgement of estimates; 0: no critics."""
    beta: float = Field(default=1e-3, ge=0)
    """Weight of the difference between an unlabelled mixture and the sum of its estimates."""
    penalty: float = Field(default=10.0, ge=0)
    """Weight of the gradient penalty in the critics' loss, for gradient norms above 1."""
    critic_steps: int = Field(default=5, gt=0)
    """Critic steps before each step of the separator."""
    critic_learning_rate: float = Field(default=5e-5, gt=0)
    """Constant learning rate of the critics' Adam optimizer."""
    critic_width: int = Field(default=32, ge=1)
    """Feature maps of the critics' first layer."""
    corpora: tuple[CorpusConfig, ...] = ()
    """Corpora of unpaired recordings; the weights ``vocals``, ``accompaniment`` and ``mixture`` say
    what each is used as."""


class TrainConfig(OptimisationConfig):
    """How to train. Durations are in steps unless stated otherwise."""

    steps: int = Field(gt=0)
    """Length of the run."""
    batch_size: int = Field(default=4, gt=0)
    """Items per batch, in each process."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the initial weights and of all items; the same seed gives the same run."""
    precision: PrecisionChoice = "auto"
    """``auto``: 16-bit mixed precision if the device is fast in it, otherwise 32 bits."""
    compile: bool = False
    """Whether to use ``torch.compile``: minutes at the start for faster steps."""
    grow: bool = False
    """Whether ``--init`` may name a smaller network, whose weights are then extended: one with
    narrower layers, fewer TFC-TDF layers, or the first of the stems."""
    excerpt: int | None = Field(default=None, gt=0)
    """Length of a training excerpt in samples; default: the model's chunk."""
    skips: int = Field(default=0, ge=0)
    """Consecutive steps that may be skipped because their loss or gradient is not finite. One more
    ends the run with a report."""
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    """Minutes between two checkpoints."""
    validate_every: int = Field(default=500, gt=0)
    """Steps between two validations."""
    validation: tuple[str, ...] = ()
    """Folders of validation tracks, relative to the data folder; the checkpoint with the highest
    mean SDR on them is the best."""
    patience: int = Field(default=0, ge=0)
    """Validations without a better score before the run ends early; 0: never."""
    loss: LossConfig = LossConfig()
    mixing: MixingConfig = MixingConfig()
    """How excerpts are mixed into items."""
    augment: AugmentConfig = AugmentConfig()
    """Changes made to each batch on the training device."""
    corpora: tuple[CorpusConfig, ...] = Field(min_length=1)
    """Where excerpts come from."""
    semi_supervised: SemiSupervisedConfig | None = None
    """Also learn from unpaired recordings; for models that estimate log magnitudes."""

    @property
    def needs_scores(self) -> bool:
        """Whether the course of the run depends on validation scores."""
        return bool(self.patience) or self.schedule.kind == "plateau"


class Recipe(Settings):
    """One recipe: the architecture, its settings, and how to train it."""

    architecture: str
    model: dict[str, Any] = Field(default_factory=dict)
    train: TrainConfig | None = None
    smoke: dict[str, Any] = Field(default_factory=dict)
    """Overrides of ``model`` for the smallest model that runs every line, for tests."""


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a TOML file, with what it extends.

    Raises:
        ConfigError: naming the file and the key at fault.
    """
    return validate(Recipe, read_recipe_tables(path), str(path))


def training_of(recipe: Recipe, where: str, **changes: Any) -> TrainConfig:
    """Return the table [train] of a recipe, with the keys in ``changes`` replaced.

    Raises:
        ConfigError: there is no such table, or a change is not valid.
    """
    if recipe.train is None:
        raise ConfigError(f"{where}: no table [train]; see unmix/recipes for examples")
    if not changes:
        return recipe.train
    return validate(TrainConfig, recipe.train.model_dump() | changes, where)
