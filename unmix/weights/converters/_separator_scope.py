"""Where the network lies in the TensorFlow checkpoints of the two networks of Stoller et al."""

from __future__ import annotations

#: Scope of the network's variables.
SCOPE = "separator/"
# What the optimizer remembers of each.
_SLOTS = ("/Adam", "/Adam_1")


def ignored(name: str) -> bool:
    """Say whether a tensor is not the network's: all of another scope, and the optimizer's."""
    return not name.startswith(SCOPE) or name.endswith(_SLOTS)
