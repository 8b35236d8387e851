"""The models of the package, those that others published, and where their weights are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import Field

from ..config import Settings, SettingsT, read_toml, validate
from ..errors import ModelError
from ..stems import in_order, needed
from . import DEFAULT
from .cache import WEIGHTS, cached_names, in_cache, recorded_sha256, weights_path


class Score(Settings):
    """One measured number, with what it takes to measure it again."""

    dataset: str
    split: str
    stem: str
    metric: str
    aggregation: str
    value: float
    """dB."""
    low: float | None = None
    """Lower end of the 95 % interval over tracks in dB, None if not computed."""
    high: float | None = None
    """Upper end of that interval in dB."""


class ModelEntry(Settings):
    """A model of the package. Its weights are ``<name>/weights.safetensors``."""

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
    """Size of the weights in bytes."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    licence: str
    """Of the weights."""
    training_data: tuple[str, ...]
    stages: tuple[str, ...] = ()
    """Recipes of its training, in order; each starts from the averaged weights of the last."""
    since: str
    """First version of the package with this model."""
    scores: tuple[Score, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it can be chosen by, but for ``"default"``."""
        return (self.name, *self.aliases)

    @property
    def weights(self) -> Path:
        """Path of the weights."""
        return pretrained() / self.name / WEIGHTS


class Manifest(Settings):
    """The models of the package; the first is the default."""

    models: tuple[ModelEntry, ...] = ()


class PublishedScore(Score):
    """A number that others measured and published."""

    source: str
    """Where it was published."""


class PublishedModel(Settings):
    """A model that others trained and published; its weights are not in the package."""

    name: str
    summary: str
    recipe: str
    """Recipe with its architecture and settings."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the model that override the recipe's."""
    stems: tuple[str, ...]
    """What a recording is split into."""
    sample_rate: int
    """Hz."""
    audio_channels: int
    url: str = Field(pattern="^https://")
    file: str = ""
    """What to unpack from an archive, see ``unpack``; empty if ``url`` is the weights' file."""
    size: int | None = None
    """Bytes at ``url``, None if unknown."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Hash of the file at ``url``, None if unknown."""
    licence: str
    """Licence of the weights in their publisher's words, or that none is stated."""
    training_data: tuple[str, ...]
    paper: str
    by_hand: str = ""
    """How to get a model that cannot be downloaded automatically; empty if it can."""
    scores: tuple[PublishedScore, ...] = ()


class PublishedManifest(Settings):
    """The models that others published."""

    models: tuple[PublishedModel, ...] = ()


@dataclass(frozen=True)
class FoundWeights:
    """The weights of a model on this machine."""

    name: str
    """Name of the model."""
    path: Path
    sha256: str | None = None
    """Recorded hash, None if there is none."""
    remedy: str = ""
    """What to do if the file has another hash."""


def pretrained() -> Path:
    """Return the folder of the package's weights."""
    # In a clone, ``unmix/`` hides an installed package, and with it ``unmix.pretrained``.
    clone = Path(__file__).parents[2] / "pretrained"
    if (clone / "manifest.toml").is_file():
        return clone
    return Path(str(files("unmix.pretrained")))


def read_manifest() -> Manifest:
    """Return the manifest of the package's models."""
    return _read(Manifest, pretrained() / "manifest.toml")


def list_models() -> list[ModelEntry]:
    """Return the models of the package, the default first. Loads no weights."""
    return list(read_manifest().models)


def list_published() -> list[PublishedModel]:
    """Return the models that others published."""
    return list(_read(PublishedManifest, pretrained() / "published.toml").models)


def find_model(name: str) -> ModelEntry:
    """Return a model of the package; ``"default"`` is the first.

    Raises:
        ModelError: there is no such model; lists the choices.
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


def model_with(stems: Iterable[str]) -> ModelEntry:
    """Return the first model of the package, hence the best, that gives all of these stems.

    Args:
        stems: names of stems, other words for them, or ``no_`` before one; "all" asks for none.

    Raises:
        ModelError: no model gives all of them.
    """
    wanted = {needed(name) for name in stems} - {"all"}
    for entry in list_models():
        if wanted <= set(entry.stems):
            return entry
    known = in_order({stem for entry in list_models() for stem in entry.stems})
    raise ModelError(
        f"no model of the package gives {', '.join(sorted(wanted))}; choose from {', '.join(known)}"
    )


def find_published(name: str) -> PublishedModel | None:
    """Return a model that others published, None if there is no such model."""
    return next((entry for entry in list_published() if entry.name == name), None)


def find_weights(source: str | Path) -> FoundWeights | None:
    """Return the weights of the model named ``source``, None if that is a path.

    A name wins over a file of that name: models of the package come first, then the cache.

    Raises:
        ModelError: the model must be downloaded first, or there is neither such a model nor such
            a file.
    """
    if not isinstance(source, str):
        return None
    if entry := _named(source, list_models()):
        return FoundWeights(entry.name, entry.weights, entry.sha256, "reinstall the package")
    if path := in_cache(source):
        again = f"remove {path.parent}, then download or import it again"
        return FoundWeights(source, path, recorded_sha256(path), again)
    if published := find_published(source):
        raise ModelError(f"{source} is not on this machine: {how_to_get(published)}")
    if Path(source).name == source and not Path(source).suffix and not Path(source).exists():
        find_model(source)
    return None


def how_to_get(entry: PublishedModel) -> str:
    """Return how to get a published model onto this machine."""
    copy = f"or copy its weights from another machine to {weights_path(entry.name)}"
    return f"{entry.by_hand or f'run `unmix models download {entry.name}`'}, {copy}"


def _choice(entry: ModelEntry, *, default: bool) -> str:
    """Return a model's names as an error lists them: ``tfc-tdf-tiny (tiny)``."""
    also = (DEFAULT, *entry.aliases) if default else entry.aliases
    return f"{entry.name} ({', '.join(also)})" if also else entry.name


def _named(name: str, entries: list[ModelEntry]) -> ModelEntry | None:
    return next((entry for entry in entries if name in (*entry.names, DEFAULT)), None)


def _read(kind: type[SettingsT], path: Path) -> SettingsT:
    """Return a manifest; the file is read again only if it has changed."""
    version = path.stat().st_mtime_ns if path.exists() else 0
    manifest: SettingsT = _read_version(kind, path, version)
    return manifest


@cache
def _read_version(kind: type[SettingsT], path: Path, version: int) -> SettingsT:
    del version  # part of the cache's key
    return validate(kind, read_toml(path), str(path))
