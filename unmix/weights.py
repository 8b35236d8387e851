"""Weights on disk: found, checked against the manifest, built and loaded, strictly.

Released weights are safetensors files that carry their architecture and its settings as metadata,
so one file is a model. Nothing here runs code that a file contains.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import ModelError
from .manifest import DEFAULT, ModelEntry, find_model, list_models
from .models import Model, build

WEIGHTS = "weights.safetensors"


def load_model(source: str | Path = DEFAULT, *, device: str | torch.device = "cpu") -> Model:
    """Return a model in evaluation mode.

    Args:
        source: name of a model in ``list_models()``; or path of a ``.safetensors`` file, of a
            folder with ``weights.safetensors``, or of a training checkpoint (``.ckpt``), whose
            averaged weights are taken.
        device: where to put it.

    Raises:
        ModelError: for an unknown name, or a file that is missing, damaged, or no model of this
            package.
    """
    if entry := _released(source):
        model = _load_weights(entry.weights, expected=entry.sha256)
    elif (path := Path(source)).is_dir():
        model = _load_weights(path / WEIGHTS)
    elif path.suffix == ".ckpt":
        model = _load_checkpoint(path)
    else:
        model = _load_weights(path)
    return model.to(device).eval()


def name_of(source: str | Path) -> str:
    """Return what to call a model: its name in the manifest, else that of its file or folder."""
    if entry := _released(source):
        return entry.name
    path = Path(source)
    return path.parent.name if path.name == WEIGHTS else path.stem


def _released(source: str | Path) -> ModelEntry | None:
    """Return the manifest's entry; None for a path. A name wins over a file that has it.

    Raises:
        ModelError: for a bare word that names neither a model nor anything on disk.
    """
    if not isinstance(source, str):
        return None
    if source in (DEFAULT, *(entry.name for entry in list_models())):
        return find_model(source)
    bare = Path(source).name == source and not Path(source).suffix
    return find_model(source) if bare and not Path(source).exists() else None


def save_weights(
    path: Path,
    architecture: str,
    config: dict[str, Any],
    state: dict[str, Tensor],
    licence: str,
    metadata: dict[str, str] | None = None,
) -> str:
    """Write a model as one safetensors file, and return the file's sha256 in hexadecimal.

    Args:
        path: of the file; its folder is made. The file appears whole or not at all.
        architecture: name in the registry.
        config: the architecture's settings, as plain values.
        state: the model's state; tensors of any float type.
        licence: of the weights.
        metadata: what else to keep in the file, such as where the weights come from.

    Raises:
        ModelError: where the file cannot be written.
    """
    held = {"architecture": architecture, "config": json.dumps(config), "licence": licence}
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.contiguous() for name, value in state.items()}
        save_file(tensors, part, (metadata or {}) | held)
        digest = sha256(part.read_bytes()).hexdigest()
        part.replace(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be written ({error})") from None
    finally:
        part.unlink(missing_ok=True)
    return digest


def _load_weights(path: Path, expected: str | None = None) -> Model:
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights")
    if expected and sha256(path.read_bytes()).hexdigest() != expected:
        raise ModelError(f"{path}: does not match the manifest's sha256; reinstall the package")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from None
    try:
        architecture, config = metadata["architecture"], json.loads(metadata["config"])
    except (KeyError, ValueError):
        raise ModelError(
            f"{path}: says of no architecture; it was not written by this package"
        ) from None
    return _assemble(architecture, config, state, path)


def _load_checkpoint(path: Path) -> Model:
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        recipe, state = held["recipe"], held["average"]
    except Exception as error:
        raise ModelError(f"{path}: not a checkpoint of a training run ({error})") from None
    return _assemble(recipe["architecture"], recipe["model"], state, path)


def _assemble(architecture: str, config: object, state: dict[str, Tensor], path: Path) -> Model:
    model = build(architecture, config, str(path))
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: does not fit the {architecture} it names: {error}") from None
    return model
