"""What models there are, and what is known of each: read from the manifest beside the weights."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pydantic import Field

from .config import Settings, read_toml, validate
from .errors import ModelError

#: The model that is used where none is named.
DEFAULT = "default"


class Score(Settings):
    """One number that was measured, with all it takes to measure it again."""

    dataset: str
    split: str
    stem: str
    metric: str
    aggregation: str
    value: float
    """dB."""


class ModelEntry(Settings):
    """What the manifest says of a model. Its weights are ``<name>/weights.safetensors``."""

    name: str
    summary: str
    architecture: str
    stems: tuple[str, ...]
    """What a recording is split into."""
    sample_rate: int
    """Hz."""
    audio_channels: int
    parameters: int
    size: int
    """Bytes of the weights."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    licence: str
    """Of the weights."""
    training_data: tuple[str, ...]
    since: str
    """First version of the package that has it."""
    scores: tuple[Score, ...] = ()

    @property
    def weights(self) -> Path:
        """The file with the weights."""
        return pretrained() / self.name / "weights.safetensors"


class Manifest(Settings):
    """All models; the first is the default."""

    models: tuple[ModelEntry, ...] = ()


def pretrained() -> Path:
    """Return the folder of the weights that come with the package."""
    return Path(str(files("unmix.pretrained")))


def read_manifest() -> Manifest:
    """Return the manifest of the models that come with the package."""
    path = pretrained() / "manifest.toml"
    return validate(Manifest, read_toml(path), str(path))


def list_models() -> list[ModelEntry]:
    """Return what there is to know of every model; the first is the default. Loads no weights."""
    return list(read_manifest().models)


def find_model(name: str) -> ModelEntry:
    """Return the entry called ``name``; ``"default"`` is the first.

    Raises:
        ModelError: listing the models there are.
    """
    models = list_models()
    for entry in models:
        if name in (entry.name, DEFAULT):
            return entry
    choices = ", ".join(entry.name for entry in models) or "none: this copy ships no weights"
    raise ModelError(f"unknown model {name!r}; choose from {choices}, or name a file of weights")
