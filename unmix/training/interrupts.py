"""Signals that end a run: put off where it must not be cut, and of no account to who reads for it.

From the keyboard, and from whatever runs a run: a queue, a container, a terminal that is closed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_ENDING = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


@contextlib.contextmanager
def defer_signals() -> Iterator[None]:
    """Put off what a signal does until this is left; a process that it simply kills, it kills.

    Signals come to the main thread alone: in another there is nothing to put off.
    """
    caught: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in _ENDING}
        handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: caught.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in caught:
        signal.raise_signal(number)


def exit_quietly_on_signals(worker: int) -> None:
    """Let a process that reads end without a word at a signal, which may be for all of a run's.

    The run gets it too, and saves what it has; a reader that was killed would break it off amid.
    """
    del worker
    for number in _ENDING:
        signal.signal(number, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run ends who reads


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(0)
