"""What models there are, and what is known of each: those of the package, and those of others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import Field

from ..config import Settings, SettingsT, read_toml, validate
from ..errors import ModelError
from .cache import WEIGHTS, cached_names, in_cache, recorded_sha256, weights_path

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
    low: float | None = None
    """Lower end of the 95 % interval over tracks, where it was computed, in dB."""
    high: float | None = None
    """Upper end."""


class ModelEntry(Settings):
    """What the manifest says of a model. Its weights are ``<name>/weights.safetensors``."""

    name: str
    aliases: tuple[str, ...] = ()
    """Other names to choose it by."""
    purpose: str = ""
    """What it is for, in at most 18 characters."""
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
    stages: tuple[str, ...] = ()
    """Recipes that it was trained by, in this order, each from the averaged weights of the one
    before."""
    since: str
    """First version of the package that has it."""
    scores: tuple[Score, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it can be chosen by, but for ``"default"``."""
        return (self.name, *self.aliases)

    @property
    def weights(self) -> Path:
        """The file with the weights."""
        return pretrained() / self.name / WEIGHTS


class Manifest(Settings):
    """All models of the package; the first is the default."""

    models: tuple[ModelEntry, ...] = ()


class PublishedScore(Score):
    """A number that others measured and published."""

    source: str
    """Where."""


class PublishedModel(Settings):
    """Weights that others trained, and offer on the net; none come with the package."""

    name: str
    summary: str
    recipe: str
    """The recipe that has their architecture and its settings."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of the model, over the recipe's."""
    stems: tuple[str, ...]
    """What a recording is split into."""
    sample_rate: int
    """Hz."""
    audio_channels: int
    url: str = Field(pattern="^https://")
    file: str = ""
    """What to take out of an archive: see ``unpack``; empty where ``url`` is the weights' file."""
    size: int | None = None
    """Bytes at ``url``, where they are known."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Of what is at ``url``, where it is known."""
    licence: str
    """Of the weights, in the words of who published them; and where those are none, that."""
    training_data: tuple[str, ...]
    paper: str
    by_hand: str = ""
    """What to do where this package cannot download it; empty where it can."""
    scores: tuple[PublishedScore, ...] = ()


class PublishedManifest(Settings):
    """All models that others published."""

    models: tuple[PublishedModel, ...] = ()


@dataclass(frozen=True)
class FoundWeights:
    """Where the weights of a model lie."""

    name: str
    """What to call the model."""
    path: Path
    sha256: str | None = None
    """What the file must have, where that is on record."""
    remedy: str = ""
    """What to do about a file that has another."""


def pretrained() -> Path:
    """Return the folder of the weights that come with the package."""
    # In a clone the package lies beside its weights, and hides one that is installed.
    clone = Path(__file__).parents[2] / "pretrained"
    if (clone / "manifest.toml").is_file():
        return clone
    return Path(str(files("unmix.pretrained")))


def read_manifest() -> Manifest:
    """Return the manifest of the models that come with the package."""
    return _read(Manifest, pretrained() / "manifest.toml")


def list_models() -> list[ModelEntry]:
    """Return what there is to know of every model; the first is the default. Loads no weights."""
    return list(read_manifest().models)


def list_published() -> list[PublishedModel]:
    """Return what there is to know of every model that others published."""
    return list(_read(PublishedManifest, pretrained() / "published.toml").models)


def find_model(name: str) -> ModelEntry:
    """Return the entry of a model of the package; ``"default"`` is the first.

    Raises:
        ModelError: listing the models there are.
    """
    entries = list_models()
    entry = _named(name, entries)
    if entry is None:
        names = [_choice(entry, default=entry is entries[0]) for entry in entries]
        choices = ", ".join([*names, *cached_names()]) or "none: this copy ships no weights"
        raise ModelError(
            f"unknown model {name!r}; choose from {choices}, or name a file of weights; "
            "unmix models --all lists what can be downloaded"
        )
    return entry


def find_published(name: str) -> PublishedModel | None:
    """Return the entry of a model that others published; None where none is called so."""
    return next((entry for entry in list_published() if entry.name == name), None)


def find_weights(source: str | Path) -> FoundWeights | None:
    """Return the weights of the model called ``source``; None where that is a path.

    A name wins over a file that has it: a model's of the package first, then one's in the cache.

    Raises:
        ModelError: for a model that would have to be downloaded first, and for a bare word that
            names neither a model nor anything on disk.
    """
    if not isinstance(source, str):
        return None
    if entry := _named(source, list_models()):
        return FoundWeights(entry.name, entry.weights, entry.sha256, "reinstall the package")
    if path := in_cache(source):
        again = f"remove {path.parent}, and download or import it again"
        return FoundWeights(source, path, recorded_sha256(path), again)
    if published := find_published(source):
        raise ModelError(f"{source} is not on this machine: {how_to_get(published)}")
    if Path(source).name == source and not Path(source).suffix and not Path(source).exists():
        find_model(source)
    return None


def how_to_get(entry: PublishedModel) -> str:
    """Return what to do for a model that others published to be on this machine."""
    copy = f"or copy the file from a machine that has it to {weights_path(entry.name)}"
    return f"{entry.by_hand or f'run `unmix models download {entry.name}`'}, {copy}"


def _choice(entry: ModelEntry, *, default: bool) -> str:
    """Return a model's names as an error lists them: ``tfc-tdf-tiny (tiny)``."""
    also = (DEFAULT, *entry.aliases) if default else entry.aliases
    return f"{entry.name} ({', '.join(also)})" if also else entry.name


def _named(name: str, entries: list[ModelEntry]) -> ModelEntry | None:
    return next((entry for entry in entries if name in (*entry.names, DEFAULT)), None)


def _read(kind: type[SettingsT], path: Path) -> SettingsT:
    """Return a manifest; it is read again only where the file has changed."""
    version = path.stat().st_mtime_ns if path.exists() else 0
    manifest: SettingsT = _read_version(kind, path, version)
    return manifest


@cache
def _read_version(kind: type[SettingsT], path: Path, version: int) -> SettingsT:
    del version  # tells one state of the file from another
    return validate(kind, read_toml(path), str(path))
