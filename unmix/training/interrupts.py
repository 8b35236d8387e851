"""Signals that end a run: deferred during a step, and handled silently by loader workers.

They come from the keyboard, a batch queue, a container, or a terminal that is closed.
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
    """Defer the handlers of signals until the end of the context.

    A signal without a handler ends the process at once. Only the main thread receives signals; in
    other threads this does nothing.
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
    """Make a loader worker exit silently when all processes of a run receive a signal.

    The main process receives it too and saves a checkpoint; a worker that dies by a signal would
    make it fail instead.
    """
    del worker
    for number in _ENDING:
        signal.signal(number, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends its workers


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(0)
