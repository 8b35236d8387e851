"""The process that models run in: what it has forked, and what it has set."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import numpy as np
import torch

if hasattr(os, "register_at_fork"):
    # The threads that torch computes with do not exist in a forked child, which would wait for
    # them for ever. torch's own loaders of data do the same.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


@contextlib.contextmanager
def own_defaults() -> Iterator[None]:
    """Compute with the defaults of torch and numpy, whatever the host process has set.

    It is also a decorator. torch's default type is one for all threads: it is put back when the
    last thread that computes here is done.
    """
    with torch.device("cpu"), np.errstate(all="ignore"):
        _default_type.borrow()
        try:
            yield
        finally:
            _default_type.give_back()


class _DefaultType:
    """torch's default type of real numbers, set to 32 bits while anybody needs that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._hosts = torch.float32
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def borrow(self) -> None:
        """Set it."""
        with self._lock:
            if self._users == 0:
                self._hosts = torch.get_default_dtype()
                torch.set_default_dtype(torch.float32)
            self._users += 1

    def give_back(self) -> None:
        """Restore it, after the last user."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                torch.set_default_dtype(self._hosts)

    def _renew(self) -> None:
        """Begin anew in a forked child, where the threads that used it do not exist."""
        if self._users:
            torch.set_default_dtype(self._hosts)
        self._lock, self._users = threading.Lock(), 0


_default_type = _DefaultType()
