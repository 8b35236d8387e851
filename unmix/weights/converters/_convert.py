"""Conversion of a foreign file: every tensor finds its place, or the file is refused."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...config import validate
from ...errors import ConfigError, ModelError
from ...models import Model, build, config_type
from ...recipes.reading import ArchitectureChoice, find_architecture, recipes
from ...storage import sha256_of
from ..load import check_finite, save_weights
from ._registry import Converter, Tensors, converters

# Names listed in a message; further ones are counted.
_LISTED = 8


@dataclass(frozen=True)
class Converted:
    """Weights that were converted."""

    path: Path
    """The file that was written."""
    sha256: str
    """SHA-256 of that file, in hexadecimal."""
    architecture: str
    stems: tuple[str, ...]
    parameters: int


def convert_weights(
    source: Path,
    name: str,
    out: Path,
    *,
    licence: str = "unknown",
    origin: str = "",
    settings: dict[str, Any] | None = None,
) -> Converted:
    """Convert foreign weights into a safetensors file.

    Args:
        source: the foreign file; for a TensorFlow checkpoint its folder, ``.index`` or prefix.
        name: recipe with the settings that the file does not contain, or an architecture that has
            one recipe.
        out: the ``.safetensors`` file, written whole or not at all; its folder is created.
        licence: licence of the weights.
        origin: source of the weights, such as a URL (default: the file's name).
        settings: settings of the model, which override those of the recipe and of the file.

    Raises:
        ModelError: the file is missing, damaged or of another kind, or tensors are missing or
            unknown.
        ConfigError: there is no such recipe, or no converter for it.
    """
    recipe = find_architecture(name)
    converter = converters().get(recipe.architecture)
    if converter is None:
        raise ConfigError(
            f"{name}: there is no converter for {recipe.architecture}; "
            f"there are converters for {', '.join(sorted(converters()))}"
        )
    files = converter.files(source)
    if not all(path.is_file() for path in files):
        raise ModelError(f"{source}: no such file; expected {converter.what}")
    theirs = converter.read(source)
    told = _told(converter, theirs, source)
    wanted = recipe.model | (settings or {})
    _compare(told, converter, ArchitectureChoice(recipe.architecture, wanted), name, source)
    # A file may tell only the number of stems; their names are the recipe's.
    sizes = {
        key: value for key, value in told.items() if not isinstance(value, int) or key != "stems"
    }
    check_finite({n: v for n, v in theirs.items() if not converter.ignored(n)}, source)
    load = partial(_load, converter=converter, theirs=theirs, source=source)
    # Also into the outline: a file must hold what its settings ask for before memory is taken.
    model = build(recipe.architecture, recipe.model | sizes | (settings or {}), str(source), load)
    load(model)
    metadata = {"origin": origin or source.name, "origin_sha256": _hash(files)}
    digest = save_weights(
        out,
        recipe.architecture,
        model.config.model_dump(mode="json"),
        model.state_dict(),
        licence,
        metadata,
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Converted(out, digest, recipe.architecture, model.stems, parameters)


def _told(converter: Converter, theirs: Tensors, source: Path) -> dict[str, Any]:
    try:
        return converter.settings(theirs)
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(
            f"{source}: not {converter.what}: {error} not found among its {len(theirs)} tensors "
            f"({_some(sorted(theirs))})"
        ) from None


def _compare(
    told: dict[str, Any], converter: Converter, wanted: ArchitectureChoice, name: str, source: Path
) -> None:
    """Refuse a file that contradicts the recipe in a setting that is not free."""
    if converter.free is None:
        return
    facts = {key: value for key, value in told.items() if key not in converter.free}
    here = _facts(wanted)
    faults = [
        f"{key} {value} where {name} has {here[key]}"
        for key, value in facts.items()
        if value != here[key]
    ]
    if not faults:
        return
    fitting = [
        other
        for other in recipes()
        if (choice := find_architecture(other)).architecture == wanted.architecture
        and facts.items() <= _facts(choice).items()
    ]
    hint = f"; it fits {', '.join(fitting)}" if fitting else ""
    raise ModelError(f"{source}: {converter.what}, but with {', '.join(faults)}{hint}")


def _facts(choice: ArchitectureChoice) -> dict[str, Any]:
    """Return the settings of a model, with the number of its stems in place of their names."""
    kind = config_type(choice.architecture)
    config = validate(kind, choice.model, choice.architecture).model_dump()
    return config | {"stems": len(config["stems"])}


def _load(model: Model, converter: Converter, theirs: Tensors, source: Path) -> None:
    """Fill a model strictly: each of its tensors is filled, and each of theirs is used."""
    state = model.state_dict()
    moves = converter.moves(model)
    uncovered = state.keys() - {move.ours for move in moves}
    if uncovered:  # a bug in the converter, not a fault of the file
        raise ValueError(f"the converter leaves out {sorted(uncovered)}")
    faults = []
    missing = [m.theirs for m in moves if m.theirs not in theirs and not m.optional]
    if missing:
        faults.append(f"missing: {_some(missing)}")
    known = {move.theirs for move in moves}
    unexpected = [n for n in sorted(theirs) if n not in known and not converter.ignored(n)]
    if unexpected:
        faults.append(f"not expected: {_some(unexpected)}")
    for move in moves:
        if move.theirs not in theirs:
            continue
        value = move.change(theirs[move.theirs])
        own = state[move.ours]
        if value.shape != own.shape:
            faults.append(f"{move.theirs} has shape {tuple(value.shape)}, not {tuple(own.shape)}")
        else:
            own.copy_(value)
    if faults:
        raise ModelError(f"{source}: does not fit {converter.what}: {_some(faults, '; ')}")


def _some(names: list[str], between: str = ", ") -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _LISTED
    listed = between.join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
    # Names from a foreign file may hold characters that control terminals.
    return "".join(letter if letter.isprintable() else "?" for letter in listed)


def _hash(files: list[Path]) -> str:
    """Return the sha256 of a file, or for several that of the list ``sha256sum`` prints."""
    if len(files) == 1:
        return sha256_of(files[0])
    listed = "".join(f"{sha256_of(path)}  {path.name}\n" for path in files)
    return sha256(listed.encode()).hexdigest()
