"""From a foreign file to a file of ours: every tensor accounted for, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from ...config import validate
from ...errors import ConfigError, ModelError
from ...models import Model, build, config_type
from ...recipes.reading import ArchitectureChoice, find_architecture, recipes
from ..load import save_weights
from ._registry import Importer, Tensors, importers

# Names listed in a message; the rest are counted.
_LISTED = 8


@dataclass(frozen=True)
class Imported:
    """Weights that were brought in."""

    path: Path
    """The file that was written."""
    sha256: str
    """Of that file, in hexadecimal."""
    architecture: str
    stems: tuple[str, ...]
    parameters: int


def import_weights(
    source: Path,
    name: str,
    out: Path,
    *,
    licence: str = "unknown",
    origin: str = "",
    settings: dict[str, Any] | None = None,
) -> Imported:
    """Write foreign weights as a file of this package's.

    Args:
        source: the foreign file; of a TensorFlow checkpoint, its folder, ``.index`` or prefix.
        name: the recipe whose settings the file does not tell (or its architecture, where that
            has one recipe only).
        out: the ``.safetensors`` file to write; its folder is made, and it appears whole or not at
            all.
        licence: of the weights.
        origin: where they come from, such as a URL; the file's name where not given.
        settings: of the model, over those of the recipe and those that the file tells.

    Raises:
        ModelError: for a file that is missing, damaged, or of something else: saying what was
            expected, and which tensors are missing or not known.
        ConfigError: for an unknown recipe.
    """
    recipe = find_architecture(name)
    importer = importers().get(recipe.architecture)
    if importer is None:
        raise ConfigError(
            f"{name}: no foreign weights are known for {recipe.architecture}; "
            f"there are importers for {', '.join(sorted(importers()))}"
        )
    files = importer.files(source)
    if not all(path.is_file() for path in files):
        raise ModelError(f"{source}: no such file; expected {importer.what}")
    theirs = importer.read(source)
    told = _told(importer, theirs, source)
    wanted = recipe.model | (settings or {})
    _compare(told, importer, ArchitectureChoice(recipe.architecture, wanted), name, source)
    # Of the stems a file may tell the number alone: their names are the recipe's.
    sizes = {
        key: value for key, value in told.items() if not isinstance(value, int) or key != "stems"
    }
    model = build(recipe.architecture, recipe.model | sizes | (settings or {}), str(source))
    _load(model, importer, theirs, source)
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
    return Imported(out, digest, recipe.architecture, model.stems, parameters)


def _told(importer: Importer, theirs: Tensors, source: Path) -> dict[str, Any]:
    try:
        return importer.settings(theirs)
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(
            f"{source}: not {importer.what}: {error} not found among its {len(theirs)} tensors "
            f"({_some(sorted(theirs))})"
        ) from None


def _compare(
    told: dict[str, Any], importer: Importer, wanted: ArchitectureChoice, name: str, source: Path
) -> None:
    """Refuse a file that tells otherwise than the recipe what is no matter of size."""
    if importer.free is None:
        return
    facts = {key: value for key, value in told.items() if key not in importer.free}
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
    raise ModelError(f"{source}: {importer.what}, but with {', '.join(faults)}{hint}")


def _facts(choice: ArchitectureChoice) -> dict[str, Any]:
    """Return all settings of a model, and of its stems the number."""
    kind = config_type(choice.architecture)
    config = validate(kind, choice.model, choice.architecture).model_dump()
    return config | {"stems": len(config["stems"])}


def _load(model: Model, importer: Importer, theirs: Tensors, source: Path) -> None:
    """Fill a model, strictly: every one of its tensors, from every one of theirs."""
    state = model.state_dict()
    moves = importer.moves(model)
    uncovered = state.keys() - {move.ours for move in moves}
    if uncovered:  # a mistake in the importer, not in the file
        raise ValueError(f"the importer leaves out {sorted(uncovered)}")
    faults = []
    missing = [m.theirs for m in moves if m.theirs not in theirs and not m.optional]
    if missing:
        faults.append(f"missing: {_some(missing)}")
    known = {move.theirs for move in moves}
    unexpected = [n for n in sorted(theirs) if n not in known and not importer.ignored(n)]
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
        raise ModelError(f"{source}: does not fit {importer.what}: {_some(faults, '; ')}")


def _some(names: list[str], between: str = ", ") -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - _LISTED
    listed = between.join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
    # The names are a stranger's, and terminals obey some characters.
    return "".join(letter if letter.isprintable() else "?" for letter in listed)


def _hash(files: list[Path]) -> str:
    """Return the sha256 of a file; of several, that of their names and hashes."""
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append((path.name, file_digest(file, "sha256").hexdigest()))
    if len(digests) == 1:
        return digests[0][1]
    return sha256("".join(f"{digest}  {name}\n" for name, digest in digests).encode()).hexdigest()
