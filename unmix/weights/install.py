"""Import of foreign weights: converted into the cache, or into a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ModelError, missing_extra
from ..recipes.reading import find_architecture
from ..storage import hidden_folder, sha256_of
from . import DEFAULT
from .archive import is_archive, unpack
from .cache import locked, record_sha256, weights_path
from .converters import Converted, Converter, convert_weights, converters
from .manifest import find_published, list_models


@dataclass(frozen=True)
class ForeignWeights:
    """Weights that others trained, and what is known of them."""

    source: Path
    """The foreign file, or the archive that it was published in."""
    recipe: str
    """Recipe of the model."""
    file: str = ""
    """What to unpack from an archive, see ``unpack``."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the model that override the recipe's."""
    licence: str = "unknown"
    origin: str = ""
    """URL of the weights."""


def import_model(
    source: Path,
    kind: str,
    *,
    name: str | None = None,
    out: Path | None = None,
    licence: str | None = None,
    stems: Sequence[str] = (),
    overwrite: bool = False,
) -> Converted:
    """Convert foreign weights into the cache, or into a file.

    Args:
        source: the foreign file, or the archive that it was published in.
        kind: what the file is: name of a published model, or of a recipe.
        name: name of the model in the cache (default: ``kind``).
        out: a ``.safetensors`` file to write instead.
        licence: licence of the weights (default: the published model's if the file has its hash,
            else "unknown").
        stems: stems that the model estimates, in its order (default: those of ``kind``).
        overwrite: replace an existing model or file.

    Raises:
        ModelError: the file is missing, damaged or of another kind, or the name is taken or
            impossible.
        ConfigError: there is no such recipe.
    """
    entry = find_published(kind)
    recipe = entry.recipe if entry else kind
    try:
        _check_source(source, recipe)
        known = entry.sha256 if entry and source.is_file() else None
        proven = known is not None and sha256_of(source) == known
    except OSError as error:
        raise ModelError(f"{source}: cannot be read ({error})") from None
    name = name or (Path(kind).stem if kind.endswith(".toml") else kind)
    if out is None and (name == DEFAULT or any(name in model.names for model in list_models())):
        raise ModelError(f"{name} is a model of the package: give yours another --name")
    if out is not None and out.suffix != ".safetensors":
        raise ModelError(f"{out}: must end in .safetensors")
    target = out or weights_path(name)
    if target.exists() and not overwrite:
        raise ModelError(f"{target}: exists already; --overwrite replaces it")
    weights = ForeignWeights(
        source=source,
        recipe=recipe,
        file=entry.file if entry else "",
        settings=(entry.settings if entry else {}) | ({"stems": list(stems)} if stems else {}),
        licence=licence or (entry.licence if entry and proven else "unknown"),
        origin=entry.url if entry and proven else "",
    )
    if out is not None:
        return _convert(weights, out)
    with locked(name):
        return put_in_cache(weights, name)


def put_in_cache(weights: ForeignWeights, name: str) -> Converted:
    """Convert weights into the cache and record their hash; the caller holds the name's lock.

    Raises:
        ModelError: see ``convert_weights`` and ``unpack``.
    """
    target = weights_path(name)
    try:
        # If this fails halfway, no record is better than that of an older file.
        record_sha256(target, None)
        done = _convert(weights, target)
        record_sha256(target, done.sha256)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written ({error})") from None
    return done


def converter_of(recipe: str) -> Converter | None:
    """Return the converter of a recipe, None if there is none.

    Raises:
        ModelError: a package that it needs is not installed.
        ConfigError: there is no such recipe.
    """
    converter = converters().get(find_architecture(recipe).architecture)
    if converter and converter.package and find_spec(converter.package) is None:
        raise ModelError(f"{recipe}: {missing_extra(converter.package)}")
    return converter


def _check_source(source: Path, recipe: str) -> None:
    """Refuse what cannot be weights, before anything is written.

    Raises:
        ModelError: says what was expected.
        ConfigError: there is no such recipe.
    """
    converter = converter_of(recipe)
    # A file may be an archive; a recipe without a converter is refused where one is needed.
    if source.is_file() or converter is None:
        return
    if not all(path.is_file() for path in converter.files(source)):
        kind = "neither a file nor a folder" if source.exists() else "no such file"
        kind = "a folder, not a file" if source.is_dir() else kind
        raise ModelError(f"{source}: {kind}; expected {converter.what}")


def _convert(weights: ForeignWeights, out: Path) -> Converted:
    """Convert weights into a file, unpacked first if they are in an archive."""
    convert = partial(
        convert_weights,
        name=weights.recipe,
        out=out,
        licence=weights.licence,
        settings=dict(weights.settings),
    )
    made = not out.parent.exists()
    try:
        if not (weights.file and is_archive(weights.source)):
            return convert(weights.source, origin=weights.origin)
        converter = converter_of(weights.recipe)
        what = converter.what if converter else "foreign weights"
        out.parent.mkdir(parents=True, exist_ok=True)
        with hidden_folder(out.parent) as folder:
            source = unpack(weights.source, weights.file, folder, what)
            return convert(source, origin=weights.origin or weights.source.name)
    except OSError as error:
        raise ModelError(f"{out}: cannot be written ({error})") from None
    finally:
        if made:
            with suppress(OSError):  # not empty: all went well
                out.parent.rmdir()
