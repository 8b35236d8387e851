"""Weights of others become a model of ours: in the cache, or in a file wherever one wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import ModelError
from ..recipes.reading import find_architecture
from ..storage import sha256_of
from .archive import is_archive, unpack
from .cache import locked, record_sha256, weights_path
from .converters import Converted, convert_weights, converters
from .manifest import DEFAULT, find_published, list_models


def import_model(
    source: Path,
    form: str,
    *,
    name: str | None = None,
    out: Path | None = None,
    licence: str | None = None,
    stems: Sequence[str] = (),
    overwrite: bool = False,
) -> Converted:
    """Bring a file of foreign weights into the cache, or into a file.

    Args:
        source: the foreign file; the archive, where it was published in one.
        form: name of a published model or of a recipe, which tells what the file itself does not.
        name: what to call the model in the cache; as ``form`` where not given.
        out: a ``.safetensors`` file to write instead.
        licence: of the weights; where not given, that of the published model if the file is proven
            to be its, else "unknown".
        stems: what the model estimates, in its order, where ``form`` says otherwise.
        overwrite: whether a model or file that is there already is replaced.

    Raises:
        ModelError: for a file that is missing, damaged or of something else, or a name that is
            taken or impossible.
        ConfigError: for an unknown form.
    """
    entry = find_published(form)
    recipe, settings, file = (entry.recipe, entry.settings, entry.file) if entry else (form, {}, "")
    try:
        _check_source(source, recipe)
        known = entry.sha256 if entry and source.is_file() else None
        proven = known is not None and sha256_of(source) == known
    except OSError as error:
        raise ModelError(f"{source}: cannot be read ({error})") from None
    known_licence, origin = (entry.licence, entry.url) if entry and proven else ("unknown", "")
    name = name or (Path(form).stem if form.endswith(".toml") else form)
    if out is None and name in (DEFAULT, *(model.name for model in list_models())):
        raise ModelError(f"{name} is a model of the package: give yours another --name")
    if out is not None and out.suffix != ".safetensors":
        raise ModelError(f"{out}: must end in .safetensors")
    target = out or weights_path(name)
    if target.exists() and not overwrite:
        raise ModelError(f"{target}: exists already; --overwrite replaces it")
    if stems:
        settings = {**settings, "stems": list(stems)}
    if out is not None:
        licence = licence or known_licence
        return _convert(source, recipe, file, settings, out, licence, origin)
    with locked(name):
        return put_in_cache(
            source,
            name,
            recipe,
            file=file,
            settings=settings,
            licence=licence or known_licence,
            origin=origin,
        )


def put_in_cache(
    source: Path,
    name: str,
    recipe: str,
    *,
    file: str,
    settings: Mapping[str, Any],
    licence: str,
    origin: str,
) -> Converted:
    """Convert weights into the cache, and note their hash; the caller holds the name's lock.

    Args:
        source: the foreign file, or an archive.
        name: of the model.
        recipe: see ``convert_weights``.
        file: what to take out of an archive, see ``unpack``.
        settings: of the model, over the recipe's.
        licence: of the weights.
        origin: where they come from.

    Raises:
        ModelError: see ``convert_weights`` and ``unpack``.
    """
    target = weights_path(name)
    try:
        # No note is better than one of an older file, should this end halfway.
        record_sha256(target, None)
        done = _convert(source, recipe, file, settings, target, licence, origin)
        record_sha256(target, done.sha256)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written ({error})") from None
    return done


def _check_source(source: Path, recipe: str) -> None:
    """Refuse what is nowhere, or can be no weights, before anything is written.

    Raises:
        ModelError: saying what was expected.
        ConfigError: for an unknown recipe.
    """
    converter = converters().get(find_architecture(recipe).architecture)
    # A file may be an archive; and a recipe without an converter is refused where one is needed.
    if source.is_file() or converter is None:
        return
    if not all(path.is_file() for path in converter.files(source)):
        kind = "neither a file nor a folder" if source.exists() else "no such file"
        kind = "a folder, not a file" if source.is_dir() else kind
        raise ModelError(f"{source}: {kind}; expected {converter.what}")


def _expected(recipe: str) -> str:
    """Return what the foreign weights of a recipe are."""
    converter = converters().get(find_architecture(recipe).architecture)
    return converter.what if converter else "foreign weights"


def _convert(
    source: Path,
    recipe: str,
    file: str,
    settings: Mapping[str, Any],
    out: Path,
    licence: str,
    origin: str,
) -> Converted:
    made = not out.parent.exists()
    try:
        if not (file and is_archive(source)):
            return convert_weights(
                source, recipe, out, licence=licence, origin=origin, settings=dict(settings)
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".unmix-", dir=out.parent) as folder:
            return convert_weights(
                unpack(source, file, Path(folder), _expected(recipe)),
                recipe,
                out,
                licence=licence,
                origin=origin or source.name,
                settings=dict(settings),
            )
    except OSError as error:
        raise ModelError(f"{out}: cannot be written ({error})") from None
    finally:
        if made:
            with suppress(OSError):  # not empty: all went well
                out.parent.rmdir()
