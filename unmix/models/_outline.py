"""The outline of a network: its modules and shapes without memory, to judge settings of others.

A recipe or a file can ask for any size. The outline lies on torch's meta device, where a tensor has
a shape but no numbers; so a network that no machine could hold is refused in time and memory that
do not grow with it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

from ..errors import ModelError
from ._base import Model

#: Most weights of a network: 4 GB. The largest recipe has a tenth of that.
MOST_WEIGHTS = 1_000_000_000
# Most tensors that are made on the way: a bound of the time.
_MOST_TENSORS = 5_000
# Most samples of a chunk: 25 minutes at 44100 Hz.
_LONGEST_CHUNK = 1 << 26
_FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn)
ModelT = TypeVar("ModelT", bound=Model)


class _TooLargeError(Exception):
    """Settings ask for more than any network has."""


def outline(make: Callable[[], ModelT], what: str) -> ModelT:
    """Return a network without memory.

    Args:
        make: returns the network.
        what: the file and the architecture that it describes, for messages.

    Raises:
        ModelError: the network is larger than any, or the settings contradict each other.
    """
    try:
        with _Meta():
            model = make()
        if model.chunk + 2 * model.context > _LONGEST_CHUNK:
            raise _TooLargeError(f"its chunks have more than {_LONGEST_CHUNK} samples")
    except _TooLargeError as error:
        raise ModelError(f"{what} is larger than any: {error}; correct its settings") from None
    # What the checks of the settings leave to the layers, such as groups that do not divide.
    except (ValueError, ArithmeticError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise ModelError(f"{what} cannot be built ({reason}); correct its settings") from error
    return model


class _Meta(TorchFunctionMode):
    """Puts weights on the meta device, and counts what is made before it is made.

    Windows and tables, whose length the settings bound, stay on the CPU: torch computes them on the
    meta device in Python, which takes a second to import.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tensors = self._weights = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call a function of torch."""
        named = kwargs or {}
        if func in _FACTORIES:
            sizes = args or (named.get("size", ()),)
            self._weights += prod(sizes if isinstance(sizes[0], int) else sizes[0])
            self._tensors += 1
            if self._tensors > _MOST_TENSORS:
                raise _TooLargeError(f"it has more than {_MOST_TENSORS} tensors")
            if self._weights > MOST_WEIGHTS:
                raise _TooLargeError(f"it has more than {MOST_WEIGHTS:,} weights")
        if func is torch.empty:
            named = named | {"device": "meta"}
        return func(*args, **named)
