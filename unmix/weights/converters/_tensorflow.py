"""Names of variables in TensorFlow checkpoints."""

from __future__ import annotations

#: Scope of the networks of Stoller et al.
SCOPE = "separator/"
# What the optimizer remembers of each variable.
_SLOTS = ("/Adam", "/Adam_1")


def ignored(name: str) -> bool:
    """Return whether a variable is of another scope, or of the optimizer."""
    return not name.startswith(SCOPE) or name.endswith(_SLOTS)


def numbered(kind: str, number: int) -> str:
    """Return the name of a layer: the first one of its kind has no number."""
    return f"{kind}_{number}" if number else kind
