"""Loading and saving of models.

A safetensors file carries its architecture and settings as metadata, so one file is a model.
Loading is strict, and never runs code that a file contains.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ModelError
from ..models import Model, build, config_type, own_defaults
from ..storage import sha256_of, written_whole
from . import DEFAULT
from .archive import check_growth
from .cache import WEIGHTS
from .manifest import FoundWeights, find_weights


@own_defaults()
def load_model(
    source: str | Path | FoundWeights = DEFAULT,
    *,
    device: str | torch.device = "cpu",
    settings: dict[str, Any] | None = None,
) -> Model:
    """Return a model in evaluation mode.

    Args:
        source: name of a model in the package or the cache (see ``unmix models``), or the result
            of ``find_weights``; or path of a ``.safetensors`` file, of a folder with
            ``weights.safetensors``, or of a training checkpoint (``.ckpt``), whose averaged
            weights are loaded.
        device: to put the model on.
        settings: override those in the file, such as ``{"wiener": 1}``.

    Raises:
        ModelError: the name is unknown, the model is not on this machine, the file is missing,
            damaged or not a model, or the model has no such setting.
    """
    found = source if isinstance(source, FoundWeights) else find_weights(source)
    changed = settings or {}
    if found:
        model = _load_weights(found.path, changed, found)
    elif (path := Path(str(source))).is_dir():
        model = _load_weights(path / WEIGHTS, changed)
    elif path.suffix == ".ckpt":
        model = _load_checkpoint(path, changed)
    else:
        model = _load_weights(path, changed)
    return model.to(device).eval()


def name_of(source: str | Path | FoundWeights) -> str:
    """Return the name of a model: its own, or that of its file or folder."""
    found = source if isinstance(source, FoundWeights) else find_weights(source)
    if found:
        return found.name
    path = Path(str(source))
    return path.parent.name if path.name == WEIGHTS else path.stem


def save_weights(
    path: Path,
    architecture: str,
    config: dict[str, Any],
    state: dict[str, Tensor],
    licence: str,
    metadata: dict[str, str] | None = None,
) -> str:
    """Write a model as one safetensors file, and return its sha256 in hexadecimal.

    Args:
        path: of the file, which appears whole or not at all; missing folders are made.
        architecture: name in the registry.
        config: the settings of the architecture, as plain values.
        state: the model's state; tensors of any float type.
        licence: of the weights.
        metadata: further entries to keep in the file, such as the origin of the weights.

    Raises:
        ModelError: the file cannot be written.
    """
    held = {"architecture": architecture, "config": json.dumps(config), "licence": licence}
    tensors = {name: value.contiguous() for name, value in state.items()}
    try:
        with written_whole(path) as part:
            save_file(tensors, part, (metadata or {}) | held)
            _sort_header(part)
            part.chmod(0o644)  # safetensors makes files that only their owner can read
            digest = sha256_of(part)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be written ({error})") from None
    return digest


def check_finite(state: Mapping[str, object], path: Path) -> None:
    """Check that each tensor holds numbers: one NaN in the weights makes every sample NaN.

    Raises:
        ModelError: a tensor holds NaN or infinity; names it.
    """
    for name, value in state.items():
        if not isinstance(value, Tensor):
            continue
        shown = "".join(letter if letter.isprintable() else "?" for letter in str(name))
        if value.is_sparse or value.nbytes > value.untyped_storage().nbytes():
            raise ModelError(f"{path}: its tensor {shown} is larger than its data")
        if not value.isfinite().all():
            raise ModelError(
                f"{path}: its tensor {shown} holds NaN or infinity; get the weights again, or "
                "others"
            )


def _sort_header(path: Path) -> None:
    """Sort the header of a safetensors file, so that one model has one hash.

    The library writes the metadata in the random order of a hash table.
    """
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        # The data must stay in place: a header may end in spaces.
        if len(text) > size:
            raise OSError(f"the header of {path.name} has grown from {size} to {len(text)} bytes")
        file.seek(8)
        file.write(text.ljust(size))


def _load_weights(path: Path, settings: dict[str, Any], found: FoundWeights | None = None) -> Model:
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    if found and found.sha256 and sha256_of(path) != found.sha256:
        raise ModelError(f"{path}: does not match its recorded sha256; {found.remedy}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from None
    try:
        architecture, config = metadata["architecture"], json.loads(metadata["config"])
    except (KeyError, ValueError, RecursionError):
        raise ModelError(f"{path}: not a model of unmix: it names no architecture") from None
    return _assemble(architecture, config, settings, state, path)


def _load_checkpoint(path: Path, settings: dict[str, Any]) -> Model:
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint")
    check_growth(path)
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        recipe, state = held["recipe"], dict(held["average"])
        architecture, config = recipe["architecture"], recipe["model"]
    except Exception as error:
        raise ModelError(f"{path}: not a checkpoint of `unmix train` ({error})") from None
    return _assemble(architecture, config, settings, state, path)


def _assemble(
    architecture: str,
    config: dict[str, Any],
    settings: dict[str, Any],
    state: dict[str, Tensor],
    path: Path,
) -> Model:
    if not isinstance(architecture, str) or not isinstance(config, dict):
        raise ModelError(f"{path}: not a model of unmix: its settings are no table")
    check_finite(state, path)
    unknown = settings.keys() - config_type(architecture).model_fields.keys()
    if unknown:
        raise ModelError(f"{path}: {architecture} has no setting {', '.join(sorted(unknown))}")

    def check(outlined: Model) -> None:
        try:
            outlined.load_state_dict(state, strict=True, assign=True)
        except RuntimeError as error:
            raise ModelError(f"{path}: does not fit the {architecture} it names: {error}") from None

    # Compared before memory is taken: a file must hold what its settings ask for.
    model = build(architecture, config | settings, str(path), check)
    model.load_state_dict(state, strict=True)
    return model
